"""Class numbers, checked."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Class numbers are int32.
_MOST_CLASSES = 2**31


def check_labels(
    labels: NDArray[Any], num_classes: int | None = None, name: str = "labels"
) -> NDArray[np.int32]:
    """Makes sure that labels are class numbers.

    Args:
        labels: Shape (rows,) or (rows, 1).
        num_classes: How many classes there are; None where it is not known.
        name: What the labels are called in an error.

    Returns:
        The labels as int32, shape (rows,).

    Raises:
        ValueError: If one is no whole number, negative, or not below `num_classes`; the text
            has the value and its row.

    Example:
    >>> check_labels(np.array([[3], [0]]), num_classes=4)
    array([3, 0], dtype=int32)
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iuf":
        raise ValueError(
            f"{name} must hold one class number a row, shape (rows,); got the shape "
            f"{labels.shape} of {labels.dtype}: turn one-hot codes into numbers with argmax(-1)"
        )
    fractions = ~np.isfinite(labels) | (labels != np.floor(labels))
    _refuse(labels, fractions, f"{name} must be whole numbers", "correct the labels")
    _refuse(labels, labels < 0, f"{name} must be class numbers from 0 on", "correct the labels")
    limit = _MOST_CLASSES if num_classes is None else num_classes
    cure = "correct the labels or the number of classes, in a recipe data.most_classes"
    _refuse(labels, labels >= limit, f"{name} must be below the number of classes, {limit:,}", cure)
    return labels.astype(np.int32)


def _refuse(labels: NDArray[Any], wrong: NDArray[np.bool_], rule: str, cure: str) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{rule}; got {labels[row]} in row {row} (counted from 0), and {wrong.sum():,} such "
            f"rows of {len(labels):,}: {cure}"
        )
