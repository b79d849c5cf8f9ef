"""Training rows that are held out, to choose by."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from rdrop_tf.tasks.parts import Examples, NumberedRows, Part, Stream, take


def hold_out(train: Part, validation: float, seed: int, by_class: bool) -> tuple[Part, Part]:
    """Parts training rows into those to learn from and those to choose by.

    Of rows in memory they are drawn; of others they are the first, which must lie in no order.

    Args:
        train: The training part.
        validation: A share below 1, of which the rows are rounded up, or from 1 on their number.
        seed: Of the draw.
        by_class: Whether each class is held out in proportion, where rows are in memory.

    Returns:
        The rows to learn from, in their order, and the rows held out.

    Raises:
        ValueError: If either had no row, or none of some class.

    Example:
    >>> rows = Examples(np.arange(10), np.arange(10) % 2)
    >>> kept, held_out = hold_out(rows, 0.2, seed=0, by_class=True)
    >>> kept.rows, sorted(held_out.y.tolist())
    (8, [0, 1])
    """
    count = validation if isinstance(validation, int) else math.ceil(validation * train.rows)
    if not isinstance(train, Examples):
        return _first(train, count, validation)
    classes = train.y if by_class else None
    try:
        kept, rest = train_test_split(
            np.arange(train.rows), test_size=count, stratify=classes, random_state=seed
        )
    except ValueError:
        raise _too_few(validation, train.rows, classes) from None
    return take(train, np.sort(kept)), take(train, np.sort(rest))


def _first(train: Stream | NumberedRows, count: int, validation: float) -> tuple[Part, Part]:
    if not 0 < count < train.rows:
        raise _too_few(validation, train.rows, None)
    return train.without_first(count), train.first(count)


def _too_few(validation: float, rows: int, classes: NDArray[Any] | None) -> ValueError:
    of_classes = "" if classes is None else f" of {len(np.unique(classes))} classes"
    return ValueError(
        f"a validation part must hold a row{'' if classes is None else ' of each class'} at least, "
        f"and leave one to learn from; got validation={validation} of {rows:,} rows{of_classes}: "
        "use more rows, another share, or validation=0 for the part that is reported"
    )
