import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve

from rdrop_tf.metrics.calibration import expected_calibration_error, reliability_bins


def _case(rows: int = 500, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.integers(0, classes, rows), rng.normal(0, 2, (rows, classes))


def _by_hand(y: np.ndarray, logits: np.ndarray, bins: int) -> float:
    """The formula of Guo et al., row by row."""
    error = 0.0
    probabilities = softmax(logits, axis=1)
    for m in range(1, bins + 1):
        inside = [
            (row.max(), float(row.argmax() == true))
            for row, true in zip(probabilities, y, strict=True)
            if (m - 1) / bins < row.max() <= m / bins
        ]
        if inside:
            confidence, right = np.mean(inside, axis=0)
            error += len(inside) / len(y) * abs(right - confidence)
    return error


@pytest.mark.parametrize("bins", [1, 4, 15, 200])
def test_the_error_is_that_of_the_formula(bins: int) -> None:
    y, logits = _case()
    expected = _by_hand(y, logits, bins)
    assert expected_calibration_error(y, logits, bins) == pytest.approx(expected, abs=1e-12)
    assert expected > 0.05


def test_bins_are_scikit_learns() -> None:
    y, logits = _case()
    chosen = softmax(logits, axis=1).max(axis=1)
    right = logits.argmax(axis=1) == y
    accuracy, confidence = calibration_curve(right, chosen, n_bins=15, strategy="uniform")
    bins = reliability_bins(y, logits)
    filled = bins.counts > 0
    np.testing.assert_allclose(bins.accuracy[filled], accuracy, atol=1e-12)
    np.testing.assert_allclose(bins.confidence[filled], confidence, atol=1e-12)
    assert bins.counts.sum() == len(y)
    # Nobody can be less sure of a choice among five than 1/5.
    assert not filled[:3].any()
    assert np.isnan(bins.accuracy[:3]).all()


def test_a_probability_on_an_edge_belongs_to_the_bin_below() -> None:
    assert reliability_bins([0], [[0.0, 0.0]], bins=2).counts.tolist() == [1, 0]
    assert reliability_bins([0], [[800.0, 0.0]], bins=2).counts.tolist() == [0, 1]


def test_a_calibrated_model_has_no_error() -> None:
    # In 3 of 4 rows the class of probability 3/4 is right.
    logits = np.tile(np.log([3.0, 1.0]), (8, 1))
    assert expected_calibration_error([0, 0, 0, 1] * 2, logits) == pytest.approx(0, abs=1e-12)


def test_scaling_the_logits_up_makes_a_model_too_sure() -> None:
    y, logits = _case()
    assert expected_calibration_error(y, 100 * logits) == pytest.approx(
        1 - (logits.argmax(axis=1) == y).mean(), abs=0.02
    )


def test_no_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="bins must be 1 or more; got bins=0"):
        expected_calibration_error([0], [[0.0, 1.0]], bins=0)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="from 0 to 1, as there are 2 logits; got 5 in row 0"):
        reliability_bins([5], [[0.0, 1.0]])
