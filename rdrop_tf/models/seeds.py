"""The states that dropout draws from: the integer variables of Keras' seed generators."""

from typing import Any

import keras
import numpy as np
from keras import ops

_SUFFIX = "seed_generator_state"


def seed_states(model: keras.Model) -> list[Any]:
    """Returns the seed states of a model and its layers, in a fixed order."""
    return [v for v in model.non_trainable_variables if v.path.endswith(_SUFFIX)]


def save_seed_states(model: keras.Model) -> np.ndarray:
    """Returns all seed states as one array; Keras does not save them with a model."""
    values = [np.asarray(ops.convert_to_numpy(v), dtype="int64") for v in seed_states(model)]
    return np.stack(values) if values else np.zeros((0, 2), dtype="int64")


def load_seed_states(model: keras.Model, saved: np.ndarray) -> None:
    """Sets all seed states; the next step draws what it would have drawn.

    Raises:
        ValueError: If the model has another number of seed generators.
    """
    states = seed_states(model)
    if len(states) != len(saved):
        raise ValueError(
            "The file must hold as many random seed states as the model has layers that "
            f"draw noise. Received: {len(saved)} states for {len(states)} seed generators"
        )
    for variable, value in zip(states, saved, strict=True):
        variable.assign(np.asarray(value).astype(str(variable.dtype)))
