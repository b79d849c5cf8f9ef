"""Made-up values of a given shape and dtype, to run parts of a model on."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from rdrop_tf._typing import Tensor

_ROWS = 4
# A prime number of values, so that rows and columns do not repeat them in step.
_NORMAL = np.random.RandomState(0).standard_normal(65_537).astype("float32")


def tensor_like(x: Any, length: int) -> Tensor:
    """Returns a batch for a symbolic tensor: numbers from 0 to 1, ids 0 and 1, True, "a".

    Args:
        x: The symbolic tensor.
        length: Stands for unknown dimensions other than the batch.
    """
    shape = tuple(
        (length if axis else _ROWS) if size is None else size for axis, size in enumerate(x.shape)
    )
    if getattr(x, "sparse", False) or getattr(x, "ragged", False):
        raise NotImplementedError(f"a sparse or ragged tensor, {x.name}")
    dtype = keras.backend.standardize_dtype(x.dtype)
    if dtype == "string":
        return ops.convert_to_tensor(np.full(shape, "a"))
    if dtype == "bool":
        return ops.ones(shape, "bool")
    if "float" not in dtype:
        return ops.cast(np.arange(math.prod(shape)).reshape(shape) % 2, dtype)
    return ops.cast(np.abs(_normal(shape)) % 1.0, dtype)


def outputs_like(node: Any, length: int) -> list[Tensor]:
    """Returns values for all outputs of a node of a functional model."""
    return [tensor_like(x, length) for x in node.outputs]


def weights_like(layer: Any) -> list[tuple[keras.Variable, Tensor]]:
    """Returns values for all variables of a layer, to map in a `keras.StatelessScope`.

    Of the size that keeps activations in range, and none of them 0: the weights of the moment
    may hide noise (a residual branch that starts at 0). Integers, which noise is drawn from,
    start at 0.
    """
    variables = [*layer.trainable_variables, *layer.non_trainable_variables]
    return [(variable, _value_like(variable)) for variable in variables]


def _value_like(variable: Any) -> Tensor:
    shape, dtype = tuple(variable.shape), keras.backend.standardize_dtype(variable.dtype)
    if "float" not in dtype:
        return ops.zeros(shape, dtype)
    if len(shape) < 2:  # biases, scales, variances
        return ops.cast(0.5 + np.abs(_normal(shape)) % 1.0, dtype)
    return ops.cast(_normal(shape) / math.sqrt(max(1, math.prod(shape[:-1]))), dtype)


def _normal(shape: tuple[int, ...]) -> np.ndarray:
    return np.resize(_NORMAL, shape)
