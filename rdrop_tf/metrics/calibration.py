"""Whether a model that is sure to 80 % is right in 80 of 100 cases."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from rdrop_tf.metrics.classification import check_classification


class ReliabilityBins(NamedTuple):
    """Rows put together by how sure the model is of its choice.

    `edges` has one number more than there are bins. In a bin, `counts` rows have on average
    the probability `confidence` for the chosen class, and a share of `accuracy` is right;
    both are NaN in an empty bin.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def calibration_error(self) -> float:
        """The expected calibration error: the mean distance of the two, over the rows."""
        filled = self.counts > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float(gaps @ self.counts[filled] / self.counts.sum())


def reliability_bins(y_true: ArrayLike, logits: ArrayLike, bins: int = 15) -> ReliabilityBins:
    """Puts rows into bins of equal width by the probability of the chosen class.

    Bin m of M holds the probabilities in ((m - 1) / M, m / M] (Guo et al. 2017, section 2).

    Args:
        y_true: Class numbers, shape (rows,).
        logits: Shape (rows, classes).
        bins: How many, 1 or more.

    Returns:
        The bins.

    Raises:
        ValueError: If the shapes do not fit, a class is none, a logit is NaN or +inf, or there
            are no bins.

    Example:
    >>> reliability_bins([0, 1], [[0.0, 3.0], [0.0, 3.0]], bins=2).accuracy
    array([nan, 0.5])
    """
    if bins < 1:
        raise ValueError(f"bins must be 1 or more; got bins={bins}")
    y_true, logits = check_classification(y_true, logits)
    confidence = softmax(logits, axis=1).max(axis=1)
    right = logits.argmax(axis=1) == y_true
    edges = np.linspace(0.0, 1.0, bins + 1)
    # Rounding may take a probability to just above 1.
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    counts = np.bincount(place, minlength=bins)
    return ReliabilityBins(
        edges, counts, _means(place, confidence, counts), _means(place, right, counts)
    )


def expected_calibration_error(y_true: ArrayLike, logits: ArrayLike, bins: int = 15) -> float:
    """Returns how far confidence and accuracy are apart (Guo et al. 2017, Eq. 3).

    Formula, over the M bins B_m of `reliability_bins` and n rows:

        ECE = Σ_m |B_m| / n · |accuracy(B_m) - confidence(B_m)|

    Args:
        y_true: Class numbers, shape (rows,).
        logits: Shape (rows, classes).
        bins: How many, 1 or more.

    Returns:
        From 0 (calibrated) to 1.

    Raises:
        ValueError: If the shapes do not fit, a class is none, a logit is NaN or +inf, or there
            are no bins.

    Example:
    >>> round(expected_calibration_error([0, 1], [[1000.0, 0.0], [1000.0, 0.0]]), 6)
    0.5
    """
    return reliability_bins(y_true, logits, bins).calibration_error


def _means(
    place: NDArray[np.int64], values: NDArray[np.float64 | np.bool_], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    sums = np.bincount(place, weights=values, minlength=len(counts))
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
