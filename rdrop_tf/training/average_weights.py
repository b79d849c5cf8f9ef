"""The mean of the weights after several epochs."""

from collections import deque
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray


class AverageWeights(keras.callbacks.Callback):
    """Keeps the weights of the last epochs and puts their mean into the model when asked.

    Translation is scored with such means, of the last 5 or 10 checkpoints (arXiv 1706.03762,
    section 6.1). The weights lie in memory, `epochs` times over; what is no floating point number,
    such as the state of a random generator, keeps its last value.

    Args:
        epochs: How many.

    Raises:
        ValueError: If `epochs` is below 1.

    Example:
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> average = AverageWeights(3)
    >>> _ = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=5, verbose=0, callbacks=[average])
    >>> average.assign()
    3
    """

    def __init__(self, epochs: int) -> None:
        super().__init__()
        if epochs < 1:
            raise ValueError(f"a mean is over 1 or more epochs; got epochs={epochs}")
        self._kept: deque[list[NDArray[Any]]] = deque(maxlen=epochs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Copies the weights; on JAX they are in the step's state until asked for."""
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        self._kept.append([np.array(ops.convert_to_numpy(v)) for v in self._variables()])

    def assign(self) -> int:
        """Puts the mean into the model; returns over how many epochs it is.

        Raises:
            ValueError: If no epoch has ended.
        """
        if not self._kept:
            raise ValueError(
                "weights are averaged over epochs that have ended; none has: fit first"
            )
        for place, variable in enumerate(self._variables()):
            values = [weights[place] for weights in self._kept]
            # Summed in float64: the mean of equal weights is that weight.
            mean = np.mean(values, axis=0, dtype=np.float64)
            variable.assign(mean.astype(values[0].dtype))
        return len(self._kept)

    def _variables(self) -> list[keras.Variable]:
        return [v for v in self.model.variables if "float" in str(v.dtype)]
