from itertools import chain

import numpy as np
import pytest

from rdrop_tf.tasks.glue.tokens import (
    SimilarLengths,
    cut_to_longest,
    lengths_of,
    rows_of_full_length,
    tokenize,
)
from rdrop_tf.tasks.parts import Examples
from rdrop_tf.tasks.training_batches import TrainingBatches
from tests.tasks.glue.texts import VOCABULARY, preprocessor

pytestmark = pytest.mark.tensorflow
pytest.importorskip("keras_hub")

FIRST = ["the film is good", "dull", "The SONG is not poor and not bad"]
SECOND = ["a book", "the play is warm", "fine"]


def _ids(*texts: str) -> list[int]:
    """Looks words up as BERT lays one or two texts out, without padding."""
    words = ["[CLS]"]
    for text in texts:
        words += [*text.lower().split(), "[SEP]"]
    return [VOCABULARY.index(word if word in VOCABULARY else "[UNK]") for word in words]


def test_a_text_is_laid_out_as_bert_has_it() -> None:
    tokens = tokenize(preprocessor(), [FIRST])
    assert set(tokens) == {"token_ids", "padding_mask", "segment_ids"}
    for row, text in enumerate(FIRST):
        expected = _ids(text)
        assert tokens["token_ids"][row, : len(expected)].tolist() == expected
        assert not tokens["token_ids"][row, len(expected) :].any()
        assert tokens["padding_mask"][row].sum() == len(expected)
        assert not tokens["segment_ids"][row].any()


def test_two_texts_are_laid_out_as_bert_has_it() -> None:
    tokens = tokenize(preprocessor(), [FIRST, SECOND])
    for row, texts in enumerate(zip(FIRST, SECOND, strict=True)):
        expected = _ids(*texts)
        assert tokens["token_ids"][row, : len(expected)].tolist() == expected
        second = len(_ids(texts[0]))
        assert not tokens["segment_ids"][row, :second].any()
        assert tokens["segment_ids"][row, second : len(expected)].all()


@pytest.mark.parametrize(
    ("words", "length", "columns"), [(1, 64, 8), (6, 64, 8), (7, 64, 16), (90, 64, 64), (9, 10, 10)]
)
def test_no_longer_than_the_longest_row_needs(words: int, length: int, columns: int) -> None:
    tokens = tokenize(preprocessor(length), [["good", "film " * words]])
    assert {leaf.shape for leaf in tokens.values()} == {(2, columns)}


def test_many_rows_keep_their_order() -> None:
    texts = [VOCABULARY[5 + row % 12] for row in range(2500)]
    tokens = tokenize(preprocessor(), [texts])
    assert tokens["token_ids"][:, 1].tolist() == [5 + row % 12 for row in range(2500)]


def test_rows_that_fill_the_length_are_counted() -> None:
    # With [CLS] and [SEP]: 7, 8 and 9 tokens, of which the last is cut to 8.
    tokens = tokenize(preprocessor(8), [["film " * count for count in (5, 6, 7)]])
    assert tokens["padding_mask"].sum(axis=1).tolist() == [7, 8, 8]
    assert rows_of_full_length(tokens, 8) == 2
    assert rows_of_full_length(tokens, 9) == 0


def test_batches_are_cut_to_their_longest_row() -> None:
    texts = ["film " * count for count in (1, 2, 20, 3, 9, 30)]
    tokens = tokenize(preprocessor(64), [texts])
    part = Examples(tokens, np.arange(6))
    seen = []
    grouping = SimilarLengths(lengths_of(part))
    for x, y in TrainingBatches(part, 2, 0, cut_to_longest, grouping).rest(0):
        rows = np.asarray(y)
        needed = tokens["padding_mask"][rows].sum(axis=1).max()
        width = -(-needed // 8) * 8
        for name, leaf in x.items():
            np.testing.assert_array_equal(np.asarray(leaf), tokens[name][rows, :width])
        seen += rows.tolist()
    assert sorted(seen) == list(range(6))


def test_rows_of_similar_length_share_batches() -> None:
    rows, batch = 2001, 8  # the last batch has one row
    lengths = np.random.default_rng(0).integers(3, 60, rows)
    mask = np.arange(64) < lengths[:, None]
    part = Examples({"padding_mask": mask, "token_ids": mask * 1}, np.arange(rows))

    def epochs(seed: int) -> list[list[list[int]]]:
        batches = TrainingBatches(part, batch, seed, cut_to_longest, SimilarLengths(lengths))
        return [[np.asarray(y).tolist() for _, y in batches.rest(epoch)] for epoch in range(2)]

    first, second = epochs(0)
    assert epochs(0) == [first, second] != epochs(1)
    assert first != second
    for one in (first, second):
        assert sorted(len(rows) for rows in one) == [1] + 250 * [8]
        assert sorted(chain(*one)) == list(range(rows))
        padded = sum(len(rows) * lengths[rows].max() for rows in one)
        assert padded < 1.05 * lengths.sum()
        widths = [lengths[rows].max() for rows in one]
        assert widths != sorted(widths)
    drawn = np.random.default_rng(1).permutation(rows)[:2000].reshape(-1, batch)
    assert lengths[drawn].max(axis=1).mean() > 1.5 * lengths.mean()
