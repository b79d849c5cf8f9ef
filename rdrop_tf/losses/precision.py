"""The dtype the losses compute in."""

from keras import backend, ops

from rdrop_tf._typing import Tensor


def working_dtype(*tensors: Tensor) -> str:
    """Returns "float64" if any tensor is float64, "float32" for everything else.

    Half precision is widened: a log-sum-exp over a vocabulary, or the difference of two
    nearly equal probabilities, has no correct digits left in float16 or bfloat16.
    """
    return "float64" if any(dtype_of(x) == "float64" for x in tensors) else "float32"


def dtype_of(x: Tensor) -> str:
    """Returns the standard name of a tensor's dtype."""
    return str(backend.standardize_dtype(ops.convert_to_tensor(x).dtype))


def widen(x: Tensor) -> Tensor:
    """Casts to the working dtype; float64 stays float64."""
    x = ops.convert_to_tensor(x)
    return ops.cast(x, working_dtype(x))


# The smallest probability that takes part in a logarithm, by the dtype a prediction came
# in: far from the ends of its range, and for float16 its smallest number.
_SMALLEST = {"float64": 1e-290, "float32": 1e-30, "bfloat16": 1e-30, "float16": 2.0**-24}
# Of smaller ones float16 cannot hold the slope of the logarithm, 1/p times a label's share.
_STEEP_IN_FLOAT16 = 6.2e-5


def smallest_probability(x: Tensor) -> float:
    """Returns the floor below which a probability of this tensor counts as that floor."""
    return _SMALLEST.get(dtype_of(x), _SMALLEST["float32"])


def widen_probabilities(x: Tensor) -> Tensor:
    """Casts probabilities to the working dtype.

    Those below 6.2e-5 that came in float16 get no gradient: it would overflow there to
    infinity, and the softmax or sigmoid below would make NaN of it.
    """
    wide = widen(x)
    if dtype_of(x) != "float16":
        return wide
    return ops.where(wide < _STEEP_IN_FLOAT16, ops.stop_gradient(wide), wide)
