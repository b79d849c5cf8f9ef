"""Greedy decoding against its definition in plain Python."""

import numpy as np
import pytest
from keras import ops

from rdrop_tf.text.decoding import greedy
from tests.text.decoding.toy import (
    END,
    PAD,
    Definition,
    Prefix,
    Tables,
    assert_found,
    by_source_length,
    may_follow,
    random_tables,
)


def plain_greedy(
    decoder: Tables, rows: np.ndarray, definition: Definition
) -> list[tuple[float, Prefix]]:
    prefix: Prefix = ()
    total = 0.0
    while not prefix or prefix[-1] != END:
        values = rows[decoder.node(prefix)]
        allowed = [c for c in range(len(values)) if may_follow(prefix, c, definition)]
        if not allowed:
            return []
        token = max(allowed, key=lambda c: values[c])
        total += values[token]
        prefix = (*prefix, token)
    return [(total / len(prefix) ** definition.length_penalty, prefix)]


@pytest.mark.parametrize(
    "definition",
    [
        Definition(max_length=5),
        Definition(0.0, min_length=5, max_length=5),
        Definition(0.6, min_length=2, max_length=5, no_repeat_ngram=2),
        # Three tokens, none of them twice: some outputs cannot get as far as the minimum.
        Definition(-1.0, min_length=4, max_length=5, no_repeat_ngram=1),
    ],
)
def test_it_is_its_definition(definition: Definition) -> None:
    decoder = random_tables(50, 3, 5, seed=0)
    found = greedy(decoder, decoder.sources(), **definition.options())
    table = decoder.log_probabilities()
    assert_found(found, [plain_greedy(decoder, rows, definition) for rows in table])


def test_lengths_that_depend_on_the_source() -> None:
    decoder = random_tables(60, 3, 5, seed=2)
    parts = list(by_source_length(decoder, 4))
    expected = []
    for n, models, _ in parts:
        definition = Definition(min_length=(n + 1) // 2, max_length=n + 1)
        table = models.log_probabilities()
        expected += [plain_greedy(models, rows, definition) for rows in table]
    sources = np.concatenate([sources for *_, sources in parts])
    found = greedy(decoder, sources, min_length=(0.5, 0.5), max_length=(1.0, 1.0))
    assert_found(found, expected)


def test_of_equals_it_takes_the_lowest_that_may_follow() -> None:
    decoder = random_tables(1, 3, 4, seed=0)
    decoder.tables[:] = 0.0
    found = greedy(decoder, decoder.sources(), min_length=2, max_length=4)
    assert ops.convert_to_numpy(found.tokens)[0, 0].tolist() == [3, 3, END, PAD, PAD]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_show_in_the_scores(value: float) -> None:
    decoder = random_tables(3, 2, 3, seed=7)
    decoder.tables[1, 0] = [0.0, 0.0, 0.0, value, 0.0]
    found = greedy(decoder, decoder.sources(), max_length=3)
    scores = ops.convert_to_numpy(found.scores)
    np.testing.assert_array_equal(np.isnan(scores)[:, 0], [False, True, False])
    assert not ops.convert_to_numpy(found.lengths)[1, 0]


def test_a_model_may_start_with_its_end_token() -> None:
    decoder = random_tables(30, 3, 4, seed=1)
    decoder.tables[:, :, 1] = -100.0
    expected = greedy(decoder, decoder.sources(), max_length=4)
    found = greedy(decoder, decoder.sources(), max_length=4, start_id=END)
    np.testing.assert_array_equal(found.tokens, expected.tokens)
