"""Regression losses of one unit, as functions of the error.

The formulas of Keras. Its own losses take the mean over the units at once, which rounds
float64 to float32 on JAX and Torch.
"""

import math
from collections.abc import Callable

from keras import ops

from rdrop_tf._typing import Tensor

ErrorLoss = Callable[[Tensor], Tensor]


def huber(delta: float) -> ErrorLoss:
    """Returns the Huber loss: quadratic up to delta, linear beyond."""

    def of_error(error: Tensor) -> Tensor:
        size = ops.abs(error)
        return ops.where(size <= delta, 0.5 * ops.square(error), delta * size - 0.5 * delta**2)

    return of_error


def log_cosh(error: Tensor) -> Tensor:
    """Returns log cosh of the error without overflow."""
    return error - ops.log_sigmoid(2.0 * error) - math.log(2.0)
