"""The compiled function: same results, few traces, weights as they are."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf.text.decoding import Generator, beam_search, greedy, sample
from rdrop_tf.text.decoding.sample import uniform_noise
from tests.text.decoding.toy import PAD, Tables, random_tables
from tests.text.transformers import small

compiled = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Torch runs without compilation"
)


def ragged(decoder: Tables) -> list[list[int]]:
    """Sources of 1 to 11 tokens, whose first tells the model."""
    return [[i + 1] * (1 + i * 7 % 11) for i in range(len(decoder.tables))]


def padded(rows: list[list[int]]) -> np.ndarray:
    width = max(len(row) for row in rows)
    return np.array([row + [PAD] * (width - len(row)) for row in rows], "int32")


@pytest.mark.parametrize("method", ["beam_search", "greedy", "sample"])
def test_it_gives_what_the_function_gives(method: str) -> None:
    function = {"beam_search": beam_search, "greedy": greedy, "sample": sample}[method]
    decoder = random_tables(37, 3, 5, seed=0)
    options: dict[str, Any] = {"max_length": (0.3, 2.0), "no_repeat_ngram": 2}
    if method == "beam_search":
        options |= {"beams": 3, "n_best": 2}
    if method == "sample":
        options |= {"seed": 3, "top_p": 0.9}
    rows = ragged(decoder)
    found = Generator(decoder, method, batch_size=16, **options)(rows)
    expected = function(decoder, padded(rows), **options)  # type: ignore[operator]
    longest = found.tokens.shape[2]
    assert longest == found.lengths.max()
    np.testing.assert_array_equal(
        found.tokens, ops.convert_to_numpy(expected.tokens)[:, :, :longest]
    )
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_array_equal(found.lengths, expected.lengths)


def test_padded_arrays_and_rows_are_the_same() -> None:
    decoder = random_tables(9, 3, 4, seed=1)
    generate = Generator(decoder, "greedy", max_length=4)
    rows = ragged(decoder)
    wider = np.pad(padded(rows), ((0, 0), (0, 30)))
    np.testing.assert_array_equal(generate(rows).tokens, generate(wider).tokens)


def test_no_sentences_give_none() -> None:
    generate = Generator(random_tables(1, 3, 4, seed=1), beams=3, n_best=2)
    found = generate([])
    assert (found.tokens.shape, found.scores.shape) == ((0, 2, 0), (0, 2))


@compiled
@pytest.mark.parametrize("method", ["beam_search", "sample"])
def test_repeated_calls_do_not_retrace(method: str) -> None:
    decoder = random_tables(20, 2, 2, seed=2)
    generate = Generator(decoder, method, batch_size=8, max_length=2)
    rows = ragged(decoder)
    generate(rows[:5])
    generate([row[:8] for row in rows])
    # 8 sentences, and the 4 of the rest of 20; up to 8 tokens and up to 16.
    traced = decoder.starts
    assert traced <= 3
    for count in (5, 6, 7, 8):
        short = [row[:3] for row in rows[:count]]
        generate(short)
        if method == "sample":
            generate(short, seed=count)
    assert decoder.starts == traced


def test_the_seed_of_a_call_draws_anew() -> None:
    decoder = random_tables(30, 3, 4, seed=3)
    generate = Generator(decoder, "sample", max_length=4, batch_size=16)
    source = decoder.sources()
    np.testing.assert_array_equal(generate(source).tokens, generate(source, seed=0).tokens)
    one, other = generate(source, seed=1), generate(source, seed=2)
    assert one.tokens.shape != other.tokens.shape or (one.tokens != other.tokens).any()
    noise = uniform_noise(2, range(30), 5)
    expected = sample(decoder, source, noise=noise, max_length=4)
    longest = other.tokens.shape[2]
    np.testing.assert_array_equal(
        other.tokens, ops.convert_to_numpy(expected.tokens)[:, :, :longest]
    )


class Weighted(keras.layers.Layer):
    """A decoder whose logits are a weight."""

    traces = 0

    def build(self, _: Any = None) -> None:
        self.logits = self.add_weight(name="logits", shape=(6,), initializer="zeros")

    def start(self, source: Any, length: int) -> tuple[Any, Any]:
        self.traces += 1
        return (), source[:, 0]

    def step(self, tokens: Any, position: Any, constant: Any, cache: Any) -> tuple[Any, Any]:
        rows = ops.zeros((ops.shape(tokens)[0], 1), "float32")
        return ops.expand_dims(ops.convert_to_tensor(self.logits), 0) + rows, cache


@compiled
def test_new_weights_are_seen_without_a_new_trace() -> None:
    decoder = Weighted()
    decoder.build()
    generate = Generator(decoder, beams=2, max_length=1, min_length=1)
    for token in (3, 5, 4):
        decoder.logits.assign(9.0 * np.eye(6)[token])
        assert generate([[1]]).tokens[0, 0, 0] == token
    assert decoder.traces == 1


@pytest.mark.tensorflow
def test_with_xla_it_gives_the_same() -> None:
    decoder = random_tables(16, 3, 4, seed=4)
    options: dict[str, Any] = {"beams": 3, "max_length": 4, "no_repeat_ngram": 2}
    plain = Generator(decoder, **options)(decoder.sources())
    fast = Generator(decoder, jit_compile=True, **options)(decoder.sources())
    np.testing.assert_array_equal(plain.tokens, fast.tokens)
    np.testing.assert_allclose(plain.scores, fast.scores, atol=1e-6)


@pytest.mark.parametrize("method", ["beam_search", "greedy", "sample"])
def test_a_broken_model_is_refused(method: str) -> None:
    decoder = random_tables(4, 3, 3, seed=5)
    decoder.tables[2] = np.nan
    with pytest.raises(ValueError, match=r"look for NaN .* for 1 of 4 sources, .* number 2"):
        Generator(decoder, method, max_length=3)(decoder.sources())


@pytest.mark.parametrize(
    ("arguments", "source", "text"),
    [
        ({"method": "beam"}, [[1]], r"`method` must be one of 'beam_search', 'greedy', 'sample'"),
        ({"batch_size": 0}, [[1]], r"`batch_size` must be a whole number >= 1"),
        ({}, [[1], []], r"leave out the empty ones. Received: source 1 = \[\]"),
        ({}, [[1], [PAD, PAD]], r"Received: source 1 = \[0, 0\]"),
        ({}, [[1.5]], r"Each source must be a row of integers .* source 0 = \[1.5\]"),
        ({}, [1, 2], r"Each source must be a row of integers .* source 0 = 1"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], source: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Generator(random_tables(2, 2, 2, seed=0), **arguments)(source)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"beams": 0}, ValueError, "`beams` must be a whole number >= 1. Received: beams=0"),
        ({"n_best": 9}, ValueError, "`n_best` must not exceed `beams`"),
        ({"max_length": (1,)}, ValueError, r"or \(a, b\) for a · source tokens \+ b"),
        ({"method": "sample", "top_p": 0}, ValueError, "`top_p` must be a share above 0"),
        ({"method": "sample", "seed": -1}, ValueError, "`seed` must be a whole number >= 0"),
        ({"beam": 3}, TypeError, r"options of beam_search are beams, .* Received: beam=3"),
        ({"method": "greedy", "beams": 3}, TypeError, "the options of greedy are length_penalty"),
    ],
)
def test_options_are_checked_when_it_is_made(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        Generator(random_tables(1, 2, 2, seed=0), **options)


def test_ids_and_lengths_stay_within_the_models() -> None:
    network = small(positions="learned", max_length=12)
    generate = Generator(network, "greedy", max_length=(1.0, 50))
    with pytest.raises(ValueError, match=r"vocabulary, 0 to 12. Received: id 13 in source 1; take"):
        generate([[5], [5, 13]])
    with pytest.raises(ValueError, match=r"model's 12 learned positions. Received: source 0 of 13"):
        generate([[5] * 13])
    # Neither padding to a multiple of 8 nor the maximum of 61 goes beyond them.
    assert 1 <= generate([[5] * 11]).lengths[0, 0] <= 12
    with pytest.raises(ValueError, match="`max_length` must not exceed the 11 tokens that the dec"):
        Generator(network, max_length=12)


def test_a_seed_is_for_sampling_alone() -> None:
    with pytest.raises(ValueError, match=r"leave it out. Received: seed=1 for method='greedy'"):
        Generator(random_tables(1, 2, 2, seed=0), "greedy")([[1]], seed=1)
