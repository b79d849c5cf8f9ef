"""Beam search against all outputs there are, and against its definition in plain Python."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf.text.decoding import Generator, beam_search, greedy
from tests.text.decoding.toy import (
    END,
    FIRST,
    PAD,
    START,
    Definition,
    Tables,
    assert_found,
    by_source_length,
    every_output,
    exhaustive,
    plain_beam_search,
    random_tables,
)


def numpy(x: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(x))


@pytest.mark.parametrize(
    ("tokens", "definition", "n_best", "early_stopping"),
    [
        (2, Definition(0.0, max_length=5), 1, True),
        (2, Definition(0.6, max_length=5), 3, False),
        (2, Definition(2.0, max_length=5, no_repeat_ngram=2), 3, True),
        (3, Definition(1.0, max_length=4), 1, True),
        (3, Definition(-1.0, max_length=4), 1, False),
        (3, Definition(1.0, min_length=2, max_length=4, no_repeat_ngram=1), 3, True),
        (3, Definition(-0.5, min_length=3, max_length=4), 3, True),
        (4, Definition(1.0, max_length=3), 3, False),
        (4, Definition(2.0, min_length=1, max_length=3), 1, True),
        (5, Definition(0.6, max_length=3, no_repeat_ngram=2), 1, True),
    ],
)
def test_with_enough_beams_it_finds_the_best_of_all_outputs(
    tokens: int, definition: Definition, n_best: int, early_stopping: bool
) -> None:
    """100 models each, 1,000 in all."""
    decoder = random_tables(100, tokens, definition.max_length, seed=tokens)
    beams = len(list(every_output(tokens, Definition(max_length=definition.max_length))))
    search = Generator(
        decoder,
        batch_size=128,
        beams=beams,
        n_best=n_best,
        early_stopping=early_stopping,
        **definition.options(),
    )
    assert_found(search(decoder.sources()), exhaustive(decoder, definition, n_best))


@pytest.mark.parametrize("length_penalty", [1.0, -1.0])
def test_lengths_that_depend_on_the_source_bound_all_outputs(length_penalty: float) -> None:
    decoder = random_tables(60, 2, 5, seed=8)
    search = Generator(
        decoder,
        beams=62,
        n_best=2,
        length_penalty=length_penalty,
        min_length=(0.5, 0.5),
        max_length=(1.0, 1.0),
    )
    parts = list(by_source_length(decoder, 4))
    expected = []
    for n, models, _ in parts:
        definition = Definition(length_penalty, min_length=(n + 1) // 2, max_length=n + 1)
        expected += exhaustive(models, definition, 2)
    assert_found(search(np.concatenate([sources for *_, sources in parts])), expected)


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize(
    ("tokens", "definition", "beams", "n_best"),
    [
        (5, Definition(1.0, max_length=4), 2, 1),
        (3, Definition(0.0, max_length=5), 3, 3),
        (3, Definition(2.0, max_length=5, no_repeat_ngram=2), 2, 2),
        (4, Definition(-1.0, min_length=2, max_length=4), 3, 2),
        (5, Definition(0.6, min_length=1, max_length=4, no_repeat_ngram=1), 4, 1),
    ],
)
def test_with_few_beams_it_is_its_definition(
    tokens: int, definition: Definition, beams: int, n_best: int, early_stopping: bool
) -> None:
    decoder = random_tables(60, tokens, definition.max_length, seed=beams, scale=1.0)
    # Ends that are often among the best, at every place.
    decoder.tables[:, :, END] += 1.0
    table = decoder.log_probabilities()
    expected = [
        plain_beam_search(
            lambda prefix, rows=rows: rows[decoder.node(prefix)],
            definition,
            beams,
            n_best,
            early_stopping,
        )
        for rows in table
    ]
    found = beam_search(
        decoder,
        decoder.sources(),
        beams=beams,
        n_best=n_best,
        early_stopping=early_stopping,
        **definition.options(),
    )
    assert_found(found, expected)


@pytest.mark.parametrize("tokens", [2, 5])
def test_of_equals_the_earlier_beam_and_the_lower_token_come_first(tokens: int) -> None:
    definition = Definition(1.0, min_length=1, max_length=3)
    decoder = random_tables(1, tokens, definition.max_length, seed=0)
    decoder.tables[:] = 0.0
    log_probabilities = np.full(FIRST + tokens, -np.log(FIRST + tokens))
    expected = plain_beam_search(lambda _: log_probabilities, definition, 4, 4, True)
    found = beam_search(decoder, decoder.sources(), beams=4, n_best=4, **definition.options())
    assert_found(found, [expected])


def test_one_beam_is_greedy() -> None:
    decoder = random_tables(300, 4, 5, seed=0)
    for definition in (
        Definition(max_length=5),
        Definition(2.0, min_length=2, max_length=5, no_repeat_ngram=2),
        Definition(-1.0, min_length=1, max_length=5, no_repeat_ngram=1),
    ):
        options = definition.options()
        one = beam_search(decoder, decoder.sources(), beams=1, **options)
        other = greedy(decoder, decoder.sources(), **options)
        np.testing.assert_array_equal(one.tokens, other.tokens)
        np.testing.assert_array_equal(one.lengths, other.lengths)
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-6, atol=1e-6)
        assert len(np.unique(numpy(one.lengths))) > 2


def test_outputs_are_sorted_distinct_and_hold_neither_padding_nor_start() -> None:
    decoder = random_tables(50, 5, 4, seed=1)
    decoder.tables[:, :, [PAD, START]] += 5.0
    found = beam_search(decoder, decoder.sources(), beams=6, n_best=6, max_length=4)
    tokens, scores, lengths = (numpy(x) for x in found)
    assert np.isfinite(scores).all()
    assert (np.diff(scores, axis=1) <= 0).all()
    for outputs, ends in zip(tokens, lengths, strict=True):
        assert len({tuple(output) for output in outputs}) == 6
        for output, end in zip(outputs, ends, strict=True):
            assert output[end - 1] == END
            assert (output[: end - 1] >= FIRST).all()
            assert (output[end:] == PAD).all()


def test_at_the_maximum_length_the_end_is_forced() -> None:
    decoder = random_tables(20, 3, 4, seed=2)
    decoder.tables[:, :, END] = -50.0
    found = beam_search(decoder, decoder.sources(), beams=3, n_best=3, max_length=4)
    np.testing.assert_array_equal(found.lengths, np.full((20, 3), 5))
    assert (numpy(found.tokens)[:, :, 4] == END).all()
    # The forced end token keeps its probability.
    assert (numpy(found.scores) * 5 < -40).all()


def test_each_sentence_has_a_maximum_of_its_own() -> None:
    decoder = random_tables(40, 3, 5, seed=3)
    decoder.tables[:, :, END] = -50.0
    source = np.repeat(decoder.sources(), 4, axis=1)
    for row, tokens in enumerate(np.arange(40) % 4 + 1):
        source[row, tokens:] = PAD
    found = beam_search(decoder, source, beams=2, max_length=(1.2, 0.6))
    assert found.tokens.shape == (40, 1, 6)
    limits = np.array([1, 3, 4, 5])[np.arange(40) % 4]
    np.testing.assert_array_equal(numpy(found.lengths)[:, 0], limits + 1)
    table = decoder.log_probabilities()
    expected = [
        plain_beam_search(
            lambda prefix, rows=rows: rows[decoder.node(prefix)],
            Definition(max_length=int(limit)),
            2,
            1,
            True,
        )
        for rows, limit in zip(table, limits, strict=True)
    ]
    assert_found(found, expected)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_batch_gives_what_its_sentences_give_one_by_one(early_stopping: bool) -> None:
    decoder = random_tables(24, 4, 5, seed=4)
    source = np.repeat(decoder.sources(), 3, axis=1)
    source[::3, 1:] = PAD
    source[1::3, 2:] = PAD
    options: dict[str, Any] = {
        "beams": 3,
        "n_best": 3,
        "max_length": (1.0, 2.0),
        "no_repeat_ngram": 2,
        "early_stopping": early_stopping,
    }
    together = beam_search(decoder, source, **options)
    search = Generator(decoder, batch_size=1, **options)
    for i in range(len(source)):
        alone = search(source[i : i + 1])
        kept = alone.tokens.shape[2]
        assert not numpy(together.tokens)[i, :, kept:].any()
        np.testing.assert_array_equal(numpy(together.tokens)[i, :, :kept], alone.tokens[0])
        np.testing.assert_allclose(numpy(together.scores)[i], alone.scores[0], atol=1e-5)


def test_more_beams_than_outputs_leave_places_empty() -> None:
    decoder = random_tables(5, 2, 1, seed=5)
    definition = Definition(min_length=1, max_length=1)
    found = beam_search(decoder, decoder.sources(), beams=7, n_best=4, **definition.options())
    assert_found(found, exhaustive(decoder, definition, 4))
    assert np.isneginf(numpy(found.scores)[:, 2:]).all()


def test_without_any_output_there_is_none() -> None:
    decoder = random_tables(3, 2, 4, seed=6)
    found = beam_search(
        decoder, decoder.sources(), beams=2, min_length=3, max_length=4, no_repeat_ngram=1
    )
    assert np.isneginf(numpy(found.scores)).all()
    assert not numpy(found.tokens).any()
    assert not numpy(found.lengths).any()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_show_in_the_scores(value: float) -> None:
    decoder = random_tables(3, 2, 3, seed=7)
    decoder.tables[1, 0, FIRST] = value
    found = beam_search(decoder, decoder.sources(), beams=2, max_length=3)
    np.testing.assert_array_equal(np.isnan(numpy(found.scores))[:, 0], [False, True, False])


def test_it_stops_as_soon_as_nothing_can_improve() -> None:
    class Counting(Tables):
        steps = 0

        def step(self, *args: Any) -> tuple[Any, Any]:
            self.steps += 1
            return super().step(*args)

    # At each step the end has probability 0.6, each of two tokens 0.2.
    probabilities = np.array([0.0, 0.0, 0.6, 0.2, 0.2])
    with np.errstate(divide="ignore"):
        logits = np.log(probabilities).astype("float32").reshape(1, 1, 5)
    steps = {}
    for penalty in (0.0, 1.0, 2.0, -1.0):
        decoder = Counting(logits)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ops, "while_loop", _eager_loop)
            beam_search(
                decoder,
                decoder.sources(),
                beams=3,
                length_penalty=penalty,
                max_length=50,
                early_stopping=False,
            )
        steps[penalty] = decoder.steps
    # The best, log 0.6, is out of reach from the first step on, if length is no advantage. With a
    # penalty of 1, from the t at which t log 0.2 / 51 falls below it: 16.2. With 2, never.
    assert steps == {0.0: 1, 1.0: 17, 2.0: 51, -1.0: 1}


def _eager_loop(cond: Any, body: Any, loop_vars: Any) -> Any:
    while bool(cond(*loop_vars)):
        loop_vars = body(*loop_vars)
    return loop_vars


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"beams": 0}, r"`beams` must be a whole number >= 1. Received: beams=0"),
        ({"beams": 2.0}, r"`beams` must be a whole number >= 1. Received: beams=2.0"),
        ({"n_best": 0}, r"`n_best` must be a whole number >= 1. Received: n_best=0"),
        ({"n_best": 6}, r"`n_best` must not exceed `beams`.* n_best=6 and beams=5"),
        (
            {"end_id": 9},
            r"`end_id` must be one of the decoder's classes.* end_id=9 and logits of 5",
        ),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], text: str) -> None:
    decoder = random_tables(1, 2, 3, seed=0)
    with pytest.raises(ValueError, match=text):
        beam_search(decoder, decoder.sources(), max_length=3, **options)


@pytest.mark.parametrize("source", [np.ones(3, "int32"), np.ones((2, 3), "float32")])
def test_sources_that_are_no_rows_of_tokens_are_refused(source: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"integers of shape \(sentences, tokens\). Received: "):
        beam_search(random_tables(1, 2, 3, seed=0), source)


@pytest.mark.tensorflow
def test_graphs_of_any_number_of_sentences() -> None:
    import tensorflow as tf

    decoder = random_tables(6, 3, 4, seed=8)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def search(source: Any) -> Any:
        return beam_search(decoder, source, beams=3, max_length=4, no_repeat_ngram=2)

    expected = beam_search(decoder, decoder.sources(), beams=3, max_length=4, no_repeat_ngram=2)
    for rows in (6, 1):
        found = search(decoder.sources()[:rows])
        np.testing.assert_array_equal(found.tokens, expected.tokens[:rows])


def test_half_precision_logits_are_summed_in_float32() -> None:
    decoder = random_tables(20, 3, 3, seed=9)
    decoder.tables = numpy(ops.cast(ops.cast(decoder.tables, "bfloat16"), "float32"))
    expected = beam_search(decoder, decoder.sources(), beams=2, max_length=3)

    class Half(Tables):
        def step(self, *args: Any) -> tuple[Any, Any]:
            logits, cache = super().step(*args)
            return ops.cast(logits, "bfloat16"), cache

    found = beam_search(Half(decoder.tables), decoder.sources(), beams=2, max_length=3)
    np.testing.assert_array_equal(found.tokens, expected.tokens)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    assert keras.backend.standardize_dtype(found.scores.dtype) == "float32"
