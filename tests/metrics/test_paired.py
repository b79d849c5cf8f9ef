"""p-values against draws and BLEU written out here."""

import logging
import os
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from rdrop_tf.metrics import compare_translations

from .plain_bleu import bleu, statistics
from .test_translation import WORDS

TESTS = ["bootstrap", "randomization"]
Rows = NDArray[np.float64]


def systems(
    noise: tuple[float, float], sentences: int = 60
) -> tuple[list[str], list[str], list[str]]:
    """Two systems that get a share of the words wrong, each its own, and the references."""
    rng = np.random.default_rng(0)
    references = [list(rng.choice(WORDS, rng.integers(6, 15))) for _ in range(sentences)]
    first, second = (
        [
            " ".join(rng.choice(WORDS) if rng.random() < share else word for word in words)
            for words in references
        ]
        for share in noise
    )
    return first, second, [" ".join(words) for words in references]


def bootstrap_by_hand(first: Rows, second: Rows, samples: int, seed: int) -> float:
    drawn = np.random.default_rng(seed).choice(len(first), (samples, len(first)))
    found = np.array([_difference(first[rows], second[rows]) for rows in drawn])
    return _p(found - found.mean(), _difference(first, second))


def randomization_by_hand(first: Rows, second: Rows, samples: int, seed: int) -> float:
    drawn = np.random.default_rng(seed).integers(2, size=(samples, len(first)), dtype=bool)
    found = [
        _difference(
            np.where(row[:, np.newaxis], first, second), np.where(row[:, np.newaxis], second, first)
        )
        for row in drawn
    ]
    return _p(np.array(found), _difference(first, second))


def _difference(first: Rows, second: Rows) -> float:
    return abs(bleu(first, smooth=True) - bleu(second, smooth=True))


def _p(found: NDArray[np.float64], real: float) -> float:
    return float(((found > real).sum() + 1) / (len(found) + 1))


@pytest.mark.parametrize(
    ("test", "by_hand"),
    [("bootstrap", bootstrap_by_hand), ("randomization", randomization_by_hand)],
)
@pytest.mark.parametrize("noise", [(0.3, 0.3), (0.3, 0.25), (0.28, 0.3)])
def test_the_p_value_is_that_of_the_draws(
    test: str, by_hand: Callable[..., float], noise: tuple[float, float]
) -> None:
    first, second, references = systems(noise)
    result = compare_translations(
        first, second, references, language="en", test=test, samples=500, seed=3
    )
    rows = [statistics(system, [[line] for line in references]) for system in (first, second)]
    assert result.first == pytest.approx(bleu(rows[0], smooth=True), abs=1e-9)
    assert result.second == pytest.approx(bleu(rows[1], smooth=True), abs=1e-9)
    assert result.difference == result.second - result.first
    assert result.p_value == by_hand(*rows, 500, 3)
    assert 1 / 501 <= result.p_value < 1


@pytest.mark.parametrize("test", TESTS)
def test_a_system_does_not_differ_from_itself(test: str) -> None:
    first, _, references = systems((0.3, 0.3))
    result = compare_translations(
        first, list(first), references, language="en", test=test, samples=100
    )
    assert (result.difference, result.p_value) == (0, 1)
    # What sacreBLEU cannot tell apart, either.
    spaced = [line.replace(" ", "  ") for line in first]
    assert (
        compare_translations(
            first, spaced, references, language="en", test=test, samples=100
        ).p_value
        == 1
    )


@pytest.mark.parametrize("test", TESTS)
def test_a_clearly_better_system_is_found_whichever_comes_first(test: str) -> None:
    good, bad, references = systems((0.1, 0.5))
    better = compare_translations(bad, good, references, language="en", test=test, samples=999)
    worse = compare_translations(good, bad, references, language="en", test=test, samples=999)
    assert better.difference == -worse.difference > 20
    assert better.p_value == worse.p_value == 0.001


@pytest.mark.parametrize("test", TESTS)
def test_equally_good_systems_do_not_differ(test: str) -> None:
    result = compare_translations(*systems((0.3, 0.3)), language="en", test=test, samples=300)
    assert result.p_value > 0.05


def test_signature_and_defaults() -> None:
    case = systems((0.3, 0.2), sentences=10)
    result = compare_translations(*case, language="en")
    assert "|bs:1000|seed:12345|" in result.signature
    assert result == compare_translations(*case, language="en", samples=1000, seed=12345)
    result = compare_translations(
        *case, language="en", test="randomization", samples=20, seed=4, lowercase=True
    )
    assert "|ar:20|seed:4|case:lc|" in result.signature
    result = compare_translations(*case, language="en", test="randomization")
    assert "|ar:10000|" in result.signature


def test_several_references_and_capitals() -> None:
    first, second, references = systems((0.3, 0.2))
    group = [[line, other] for line, other in zip(references, second, strict=True)]
    result = compare_translations(first, second, group, language="en", samples=20)
    assert result.second == pytest.approx(100)
    capitals = [line.upper() for line in second]
    lower = compare_translations(first, capitals, group, language="en", samples=20, lowercase=True)
    assert lower.second == pytest.approx(100)
    assert compare_translations(first, capitals, group, language="en", samples=20).second < 5


def test_nothing_is_said_and_nothing_is_left_behind(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    logger, environment = logging.getLogger("sacrebleu"), dict(os.environ)
    with caplog.at_level(logging.DEBUG, logger="sacrebleu"):
        compare_translations(*systems((0.3, 0.2)), language="en", samples=20)
        assert logger.level == logging.DEBUG
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    assert dict(os.environ) == environment


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"test": "t"}, "test must be one of bootstrap, randomization; got 't'"),
        ({"samples": 0}, "samples must be 1 or more; got samples=0"),
        ({"seed": 0}, "seed must be 1 or more, .*; got seed=0"),
    ],
)
def test_arguments_that_break_a_rule_are_named(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        compare_translations(["a"], ["b"], ["c"], language="en", **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("first", "second"), [(["a"], ["a", "b"]), (["a", "b"], ["a"])])
def test_systems_of_different_length_are_named(first: list[str], second: list[str]) -> None:
    with pytest.raises(ValueError, match="got 1 and 2: "):
        compare_translations(first, second, ["a", "b"], language="en")
