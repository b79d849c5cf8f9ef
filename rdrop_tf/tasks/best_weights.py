"""The state after the epoch that was best by validation."""

from typing import Any

import keras
from numpy.typing import NDArray

from rdrop_tf.models.skip_non_finite import stepping_optimizer
from rdrop_tf.tasks.variables import assign_all, copies


class BestWeights(keras.callbacks.Callback):
    """Remembers the state of model and optimizer after the best epoch.

    It is kept in memory: the models here are small, and Keras takes longer to write a
    `.keras` file than to train an epoch of them. The first of several equal epochs counts.

    Args:
        monitor: The log to judge by.
        higher_is_better: Whether more of it is better.

    Example:
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> best = BestWeights("loss", higher_is_better=False)
    >>> _ = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, verbose=0, callbacks=[best])
    >>> best.restore()
    >>> best.epoch
    3
    """

    def __init__(self, monitor: str, higher_is_better: bool) -> None:
        super().__init__()
        self.monitor = monitor
        self.higher_is_better = higher_is_better
        self.value: float | None = None
        self.epoch = 0
        self._state: list[NDArray[Any]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Copies the state where this epoch was validated and is the best so far."""
        value = (logs or {}).get(self.monitor)
        if value is not None and (self.value is None or self._improves(value, self.value)):
            self.value, self.epoch = value, epoch + 1
            self._state = copies(self._variables())

    def restore(self) -> None:
        """Puts the remembered state back.

        Raises:
            ValueError: If no epoch had the figure.
        """
        if self.value is None:
            raise ValueError(
                f"the best epoch needs the log {self.monitor!r}; no epoch had it: give validation "
                "data to fit, and a metric of that name to compile"
            )
        assign_all(self._variables(), self._state)

    def _improves(self, value: float, best: float) -> bool:
        return value > best if self.higher_is_better else value < best

    def _variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *stepping_optimizer(self.model.optimizer).variables]
