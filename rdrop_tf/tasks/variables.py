"""Taking the values of variables out and putting them back."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray


def copies(variables: Sequence[keras.Variable]) -> list[NDArray[Any]]:
    """Returns the values of variables, in memory of their own.

    Args:
        variables: The variables.

    Returns:
        One array each. A backend may hand out the memory that it trains in; this never does.
    """
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def assign_all(variables: Sequence[keras.Variable], values: Sequence[NDArray[Any]]) -> None:
    """Puts values back into variables.

    Args:
        variables: The variables.
        values: What `copies` returned for them.
    """
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
