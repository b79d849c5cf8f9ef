"""Operations that keep float64.

Those of the same purpose in `keras.ops` compute float64 in float32 on JAX or Torch: `mean`,
`maximum` with a number, `divide_no_nan`.
"""

from keras import ops

from rdrop_tf._typing import Tensor


def mean(x: Tensor, axis: int = -1) -> Tensor:
    """Returns the mean over one axis."""
    return ops.sum(x, axis=axis) / ops.cast(ops.shape(x)[axis], x.dtype)


def at_least(x: Tensor, floor: float) -> Tensor:
    """Raises what is below the floor to the floor; no gradient flows there."""
    return ops.where(x < floor, ops.full_like(x, floor), x)


def divide_or_zero(a: Tensor, b: Tensor) -> Tensor:
    """Returns a / b, and 0 where b is 0."""
    empty = ops.equal(b, 0)
    return ops.where(empty, ops.zeros_like(a), a / ops.where(empty, ops.ones_like(b), b))
