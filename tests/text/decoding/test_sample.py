"""Draws against the probabilities they are drawn by."""

from typing import Any

import numpy as np
import pytest
from keras import ops
from scipy import stats

from rdrop_tf.text.decoding import greedy, sample
from rdrop_tf.text.decoding.sample import draw, uniform_noise
from tests.text.decoding.toy import END, FIRST, Tables, by_source_length, random_tables

ROWS = 4000


def one_model(logits: list[list[float]]) -> Tables:
    """A model of two positions whose logits depend on the position alone, and its end."""
    first, second = np.asarray(logits, "float32")
    tokens = len(first) - FIRST
    last = np.zeros_like(first)
    rows = [first, *[second] * tokens, *[last] * tokens**2]
    return Tables(np.stack(rows)[None])


def draws(decoder: Tables, **options: Any) -> np.ndarray:
    found = sample(
        decoder, np.ones((ROWS, 1), "int32"), max_length=2, **{"min_length": 2, **options}
    )
    tokens: np.ndarray = ops.convert_to_numpy(found.tokens)[:, 0]
    assert (tokens[:, 2] == END).all()
    return tokens[:, :2]


LOGITS = [[9.0, 9.0, 5.0, 0.3, 1.5, -1.0, 0.7, -2.0], [9.0, 9.0, 5.0, 1.0, 0.0, 0.4, -0.5, 2.0]]


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    result: np.ndarray = weights / weights.sum()
    return result


@pytest.mark.parametrize("temperature", [1.0, 0.7, 2.5])
def test_frequencies_are_the_probabilities_of_what_may_follow(temperature: float) -> None:
    tokens = draws(one_model(LOGITS), temperature=temperature, seed=1)
    first, second = (softmax(np.array(row[FIRST:]) / temperature) for row in LOGITS)
    expected = np.outer(first, second) * ROWS
    counts = np.zeros_like(expected)
    np.add.at(counts, (tokens[:, 0] - FIRST, tokens[:, 1] - FIRST), 1)
    assert counts.sum() == ROWS
    # Both positions together: they must be independent, too.
    assert stats.chisquare(counts.ravel(), expected.ravel()).pvalue > 1e-3


@pytest.mark.parametrize(
    ("options", "first", "second"),
    [
        ({"top_k": 1}, [4], [7]),
        ({"top_k": 3}, [3, 4, 6], [3, 5, 7]),
        ({"top_k": 99}, [3, 4, 5, 6, 7], [3, 4, 5, 6, 7]),
        # 0.54, 0.24, 0.16, 0.04, 0.02 at first, then 0.56, 0.21, 0.11, 0.08, 0.05.
        ({"top_p": 0.5}, [4], [7]),
        ({"top_p": 0.6}, [4, 6], [3, 7]),
        ({"top_p": 0.94}, [3, 4, 5, 6], [3, 4, 5, 7]),
        ({"top_p": 1e-9}, [4], [7]),
        # The three best made to sum to 1: 0.57, 0.26, 0.17, and 0.64, 0.23, 0.13.
        ({"top_k": 3, "top_p": 0.8}, [4, 6], [3, 7]),
        ({"top_p": 0.6, "temperature": 0.5}, [4], [7]),
    ],
)
def test_only_the_kept_tokens_are_drawn(
    options: dict[str, Any], first: list[int], second: list[int]
) -> None:
    tokens = draws(one_model(LOGITS), seed=2, **options)
    for place, kept in enumerate((first, second)):
        found, counts = np.unique(tokens[:, place], return_counts=True)
        assert found.tolist() == kept
        temperature = options.get("temperature", 1.0)
        expected = softmax(np.array(LOGITS[place])[kept] / temperature) * ROWS
        assert len(kept) == 1 or stats.chisquare(counts, expected).pvalue > 1e-3


def test_of_equals_top_k_keeps_the_lowest() -> None:
    tokens = draws(one_model([[0.0] * 8, [0.0] * 8]), top_k=2)
    assert set(tokens.ravel().tolist()) == {3, 4}


@pytest.mark.parametrize("temperature", [1e-4, 1e-40, 1e-300])
def test_the_coldest_is_greedy(temperature: float) -> None:
    decoder = random_tables(100, 4, 4, seed=0)
    cold = sample(decoder, decoder.sources(), temperature=temperature, max_length=4)
    expected = greedy(decoder, decoder.sources(), max_length=4)
    np.testing.assert_array_equal(cold.tokens, expected.tokens)
    np.testing.assert_allclose(cold.scores, expected.scores, atol=1e-6)


def test_the_score_is_that_of_the_model() -> None:
    decoder = random_tables(50, 4, 4, seed=1)
    found = sample(
        decoder, decoder.sources(), temperature=3.0, top_k=3, max_length=4, length_penalty=0.6
    )
    table = decoder.log_probabilities()
    tokens, scores, lengths = (ops.convert_to_numpy(x)[:, 0] for x in found)
    for rows, output, score, length in zip(table, tokens, scores, lengths, strict=True):
        path = output[:length].tolist()
        total = sum(rows[decoder.node(tuple(path[:i])), path[i]] for i in range(length))
        np.testing.assert_allclose(score, total / length**0.6, atol=1e-5)


def test_the_same_seed_gives_the_same_whatever_is_beside() -> None:
    decoder = random_tables(30, 4, 4, seed=2)
    source = decoder.sources()
    once = sample(decoder, source, max_length=4, seed=5)
    np.testing.assert_array_equal(once.tokens, sample(decoder, source, max_length=4, seed=5).tokens)
    np.testing.assert_array_equal(
        once.tokens[:10], sample(decoder, source[:10], max_length=4, seed=5).tokens
    )
    other = sample(decoder, source, max_length=4, seed=6).tokens
    assert (ops.convert_to_numpy(once.tokens) != ops.convert_to_numpy(other)).any()


def test_noise_of_a_place_is_its_own() -> None:
    noise = uniform_noise(3, range(5), 20)
    np.testing.assert_array_equal(uniform_noise(3, [4, 1], 7), noise[[4, 1], :7])
    assert len(np.unique(noise)) == noise.size
    assert noise.min() >= 0
    assert noise.max() < 1


@pytest.mark.parametrize("top_p", [1.0, 0.999])
@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24])
def test_extreme_noise_draws_what_has_a_probability(uniform: float, top_p: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(50, 999)).astype("float32")
    logits[:, [0, 1, 500, -2, -1]] = -np.inf
    noise = np.full(50, uniform, "float32")
    drawn = ops.convert_to_numpy(draw(logits, noise, 1.0, None, top_p))
    assert np.isfinite(logits[np.arange(50), drawn]).all()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"temperature": 0.0}, r"`temperature` must be > 0; use `greedy`.*temperature=0.0"),
        ({"temperature": -1}, r"`temperature` must be > 0"),
        ({"temperature": float("nan")}, r"`temperature` must be a finite number"),
        ({"top_p": 0.0}, r"`top_p` must be a share above 0 and up to 1.*top_p=0.0"),
        ({"top_p": 1.1}, r"`top_p` must be a share above 0 and up to 1.*top_p=1.1"),
        ({"top_k": 0}, r"`top_k` must be a whole number >= 1. Received: top_k=0"),
        ({"seed": -1}, r"`seed` must be a whole number >= 0. Received: seed=-1"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], text: str) -> None:
    decoder = random_tables(1, 2, 3, seed=0)
    with pytest.raises(ValueError, match=text):
        sample(decoder, decoder.sources(), **options)


def test_lengths_that_depend_on_the_source() -> None:
    decoder = random_tables(200, 3, 5, seed=2)
    parts = list(by_source_length(decoder, 4))
    sources = np.concatenate([sources for *_, sources in parts])
    found = sample(decoder, sources, min_length=(0.5, 0.5), max_length=(1.0, 1.0))
    lengths = ops.convert_to_numpy(found.lengths)[:, 0] - 1
    for n, own in enumerate(lengths.reshape(4, 50), 1):
        assert (own.min(), own.max()) == ((n + 1) // 2, n + 1)
