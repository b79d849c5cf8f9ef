"""How good predictions of one of several classes are."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax


def top_k_accuracy(y_true: ArrayLike, logits: ArrayLike, k: int = 1) -> float:
    """Returns the share of rows whose class is among the k with the highest logits.

    Of equal logits the class with the lower number comes first, as `argmax` has it: a model
    that finds all classes alike is right only where it would be read as right.

    Args:
        y_true: Class numbers, shape (rows,).
        logits: Shape (rows, classes); probabilities give the same.
        k: From 1 to the number of classes.

    Returns:
        From 0 to 1.

    Raises:
        ValueError: If the shapes do not fit, a class is none, a logit is NaN or +inf, or k is
            out of range.

    Example:
    >>> top_k_accuracy([0, 2], [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]], k=2)
    0.5
    """
    y_true, logits = check_classification(y_true, logits)
    classes = logits.shape[1]
    if not 1 <= k <= classes:
        raise ValueError(f"k must be from 1 to the number of classes, {classes}; got k={k}")
    own = np.take_along_axis(logits, y_true[:, np.newaxis], axis=1)
    lower = np.arange(classes) < y_true[:, np.newaxis]
    rank = ((logits > own) | ((logits == own) & lower)).sum(axis=1)
    return float((rank < k).mean())


def negative_log_likelihood(y_true: ArrayLike, logits: ArrayLike) -> float:
    """Returns the mean of -log p of each row's class, in nats.

    Formula, with z the logits of a row and y its class:

        log Σ_c exp z_c - z_y

    Args:
        y_true: Class numbers, shape (rows,).
        logits: Shape (rows, classes).

    Returns:
        At least 0; infinite where a row's class has the logit -inf.

    Raises:
        ValueError: If the shapes do not fit, a class is none, or a logit is NaN or +inf.

    Example:
    >>> negative_log_likelihood([1], [[0.0, 1000.0, 0.0]])
    0.0
    """
    y_true, logits = check_classification(y_true, logits)
    own = np.take_along_axis(log_softmax(logits, axis=1), y_true[:, np.newaxis], axis=1)
    return float(0.0 - own.mean())


def check_classification(
    y_true: ArrayLike, logits: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Makes sure that classes and logits fit each other.

    Args:
        y_true: Class numbers, shape (rows,).
        logits: Shape (rows, classes).

    Returns:
        The classes as int64 and the logits as float64.

    Raises:
        ValueError: If the shapes do not fit, there is no row, a class is none, or a logit is
            NaN or +inf, or a row's are all -inf.

    Example:
    >>> check_classification([1], [[0.5, 2.0]])
    (array([1]), array([[0.5, 2. ]]))
    """
    classes, values = np.asarray(y_true), np.asarray(logits, np.float64)
    if values.ndim != 2 or classes.shape != values.shape[:1] or not values.size:
        raise ValueError(
            "y_true and logits must have the shapes (rows,) and (rows, classes), with a row at "
            f"least; got {classes.shape} and {values.shape}"
        )
    numbers = classes.astype(np.int64)
    _refuse((numbers != classes) | (numbers < 0) | (numbers >= values.shape[1]), classes, values)
    bad = np.isnan(values).any(axis=1) | ~np.isfinite(values.max(axis=1))
    if bad.any():
        raise ValueError(
            "logits must be numbers, of which -inf rules a class out; got "
            f"{values[bad.argmax()].tolist()} in row {bad.argmax()}: training may have diverged"
        )
    return numbers, values


def _refuse(wrong: NDArray[np.bool_], classes: NDArray[Any], values: NDArray[Any]) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"y_true must be class numbers from 0 to {values.shape[1] - 1}, as there are "
            f"{values.shape[1]} logits; got {classes[row]} in row {row}"
        )
