import numpy as np
import pytest
from scipy import stats

from rdrop_tf.tasks import PairedDifference, paired_difference, verdict


def test_against_scipys_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    for seeds in (2, 3, 5, 20):
        baseline, other = rng.normal(88, 1, seeds), rng.normal(89, 2, seeds)
        result = paired_difference(baseline, other)
        test = stats.ttest_rel(other, baseline)
        interval = test.confidence_interval(0.95)
        np.testing.assert_allclose(
            [result.mean, result.low, result.high],
            [np.mean(other - baseline), interval.low, interval.high],
            rtol=1e-12,
        )
        assert result.shows_a_difference == (test.pvalue < 0.05)
        assert result.pairs == seeds


def test_the_interval_covers_what_it_says() -> None:
    rng = np.random.default_rng(1)
    draws = rng.normal(0.5, 1.0, (4000, 5))
    intervals = [paired_difference(np.zeros(5), draw) for draw in draws]
    covered = np.mean([interval.low <= 0.5 <= interval.high for interval in intervals])
    assert abs(covered - 0.95) < 0.012


def test_swapping_the_sides_turns_the_sign() -> None:
    there = paired_difference([1.0, 2.0, 4.0], [2.0, 2.5, 7.0])
    back = paired_difference([2.0, 2.5, 7.0], [1.0, 2.0, 4.0])
    assert (back.mean, back.low, back.high) == (-there.mean, -there.high, -there.low)


def test_pairing_takes_out_what_the_seeds_share() -> None:
    seeds = np.array([80.0, 90.0, 85.0, 95.0])
    assert paired_difference(seeds, seeds + np.array([1.0, 1.1, 0.9, 1.0])).shows_a_difference


@pytest.mark.parametrize(
    ("baseline", "other", "text"),
    [
        ([1.0, 2.0], [1.0], "paired figures must come in equal numbers; got 2 and 1"),
        ([1.0], [2.0], "an interval needs at least 2 pairs; got 1: add seeds"),
        ([], [], "an interval needs at least 2 pairs; got 0"),
    ],
)
def test_what_cannot_be_paired_is_refused(
    baseline: list[float], other: list[float], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        paired_difference(baseline, other)


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (
            PairedDifference(0.8, 0.3, 1.3, 5),
            "A difference is shown: with alpha 1 instead of 0, test accuracy is higher, by 0.80 "
            "points on average over 5 seeds; the 95 % interval from +0.30 to +1.30 leaves out 0.",
        ),
        (
            PairedDifference(-0.8, -1.3, -0.3, 5),
            "A difference is shown: with alpha 1 instead of 0, test accuracy is lower, by 0.80 "
            "points on average over 5 seeds; the 95 % interval from -1.30 to -0.30 leaves out 0.",
        ),
        (
            PairedDifference(0.8, -0.1, 1.7, 5),
            "No difference shown: with alpha 1 instead of 0, test accuracy changed by +0.80 "
            "points on average over 5 seeds, and the 95 % interval from -0.10 to +1.70 contains 0.",
        ),
        (
            PairedDifference(0.8, 0.8, 0.8, 2),
            "No difference shown: with alpha 1 instead of 0, test accuracy changed by +0.80 "
            "points on average, by the same amount in all 2 seeds, and a spread of 0 gives no "
            "interval: add seeds.",
        ),
    ],
    ids=["higher", "lower", "not shown", "no spread"],
)
def test_the_sentence_says_what_the_interval_allows(
    difference: PairedDifference, text: str
) -> None:
    assert verdict(difference, "alpha 1 instead of 0", "test accuracy", "points") == text


def test_equal_differences_prove_nothing() -> None:
    assert not paired_difference([1.0, 2.0], [2.0, 3.0]).shows_a_difference


def test_an_interval_that_ends_at_zero_shows_nothing() -> None:
    assert not PairedDifference(0.5, 0.0, 1.0, 5).shows_a_difference
