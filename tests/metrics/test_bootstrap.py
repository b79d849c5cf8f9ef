"""The interval against draws and BLEU written out here."""

import contextlib
import os

import numpy as np
import pytest

from rdrop_tf.metrics import bleu_interval
from rdrop_tf.metrics.bootstrap import sacrebleu_seed

from .plain_bleu import bleu, statistics
from .test_translation import generated

VARIABLE = "SACREBLEU_SEED"


def by_hand(
    hypotheses: list[str], references: list[list[str]], samples: int, seed: int
) -> tuple[float, float, float]:
    """SacreBLEU's draws, and of the scores in order the 25th of 1,000 from either end."""
    rows = statistics(hypotheses, references)
    drawn = np.random.default_rng(seed).choice(len(rows), (samples, len(rows)))
    scores = np.sort([bleu(rows[places], smooth=True) for places in drawn])
    out = samples // 40
    half = (scores[-1 - out] - scores[out]) / 2
    return bleu(rows, smooth=True), scores.mean() - half, scores.mean() + half


@pytest.mark.parametrize(("case", "samples", "seed"), [(3, 1000, 12345), (7, 40, 1), (8, 100, 9)])
def test_the_interval_is_that_of_the_draws(case: int, samples: int, seed: int) -> None:
    hypotheses, references = generated(case, sentences=12)
    interval = bleu_interval(hypotheses, references, language="en", samples=samples, seed=seed)
    expected = by_hand(hypotheses, references, samples, seed)
    assert interval == pytest.approx(expected, abs=1e-6)
    assert interval.low < interval.score < interval.high


def test_a_thousand_samples_of_sacrebleus_seed_are_the_default() -> None:
    case = generated(3, sentences=12)
    explicit = bleu_interval(*case, language="en", samples=1000, seed=12345)
    assert bleu_interval(*case, language="en") == explicit
    assert bleu_interval(*case, language="en", seed=2) != explicit


def test_capitals_are_lowered_where_asked() -> None:
    hypotheses, references = ["the old man sits"] * 5, ["The old man sits"] * 5
    plain = bleu_interval(hypotheses, references, language="en", samples=40)
    lower = bleu_interval(hypotheses, references, language="en", samples=40, lowercase=True)
    assert plain.high < 80
    assert lower == pytest.approx((100, 100, 100))


def test_more_sentences_have_a_narrower_interval() -> None:
    hypotheses, references = generated(3, sentences=40)
    few = bleu_interval(hypotheses, references, language="en")
    many = bleu_interval(hypotheses * 16, references * 16, language="en")
    assert many.high - many.low == pytest.approx((few.high - few.low) / 4, rel=0.15)


def test_nothing_right_has_an_interval_of_nothing() -> None:
    assert bleu_interval(["a", ""], ["b", "c"], language="en") == (0, 0, 0)


@pytest.mark.parametrize("before", [None, "77"])
def test_the_seed_of_the_user_is_put_back(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if before is not None:
        monkeypatch.setenv(VARIABLE, before)
    case = generated(3, sentences=12)
    first = bleu_interval(*case, language="en")
    assert os.environ.get(VARIABLE) == before
    assert first == bleu_interval(*case, language="en", seed=12345)


def test_the_seed_of_the_user_is_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "77")
    with contextlib.suppress(ZeroDivisionError), sacrebleu_seed(5):
        assert os.environ[VARIABLE] == "5"
        raise ZeroDivisionError
    assert os.environ[VARIABLE] == "77"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"samples": 39}, "samples must be 40 or more; got samples=39"),
        ({"seed": 0}, "seed must be 1 or more, as sacreBLEU takes 0 for none; got seed=0"),
    ],
)
def test_arguments_that_break_a_rule_are_named(arguments: dict[str, int], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        bleu_interval(["a"], ["a"], language="en", **arguments)


def test_files_of_different_length_are_named() -> None:
    with pytest.raises(ValueError, match="got 1 and 2"):
        bleu_interval(["a"], ["a", "b"], language="en")
