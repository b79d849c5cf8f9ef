"""The divergence of regression heads."""

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.arithmetic import mean
from rdrop_tf.losses.checks import check_last_axis, check_same_shape
from rdrop_tf.losses.precision import widen


def squared_difference(a: Tensor, b: Tensor) -> Tensor:
    """Computes the squared difference of two predictions, averaged over the last axis.

    Formula (arXiv 2106.14448, Eq. 8, for one output):

        D = mean_units (a - b)²

    The mean over the last axis is the one `keras.losses.MeanSquaredError` takes.

    Args:
        a: Predictions of the first pass, shape (..., units).
        b: The same of the second pass, of the same shape.

    Returns:
        The divergence per position, shape (...), in the squared unit of the predictions.

    Raises:
        ValueError: If the shapes differ or there is no axis of units.

    Example:
    >>> from rdrop_tf.losses import squared_difference
    >>> print(float(squared_difference([1.0, 2.0], [1.0, 4.0])))
    2.0
    """
    a, b = check_same_shape(a, b)
    check_last_axis(a)
    return mean(ops.square(widen(a) - widen(b)))
