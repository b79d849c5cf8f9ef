"""How far two dropout passes are apart, measured without touching the training."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.tasks.variables import assign_all, copies

Divergence = Callable[[Tensor, Tensor], Tensor]

# The name under which the probe's figure appears in the logs of an epoch.
PROBE_LOG = "probe_kl"


def pass_divergence(model: keras.Model, x: Nested, divergence: Divergence) -> float:
    """Measures how far two stochastic passes of the same examples are apart.

    The model is left as it was: the states of its random generators and of its
    normalisation layers are put back, so training goes on as if nothing had been measured.

    Args:
        model: A model whose dropout is active when called with `training=True`.
        x: The inputs.
        divergence: A function of two predictions that returns one number per example.

    Returns:
        The mean over the examples.

    Example:
    >>> from rdrop_tf.losses import symmetric_kl
    >>> model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dropout(0.5)])
    >>> pass_divergence(model, ops.ones((4, 2)), symmetric_kl) > 0
    True
    """
    if not model.built:
        model(x)
    variables = model.non_trainable_variables
    before = copies(variables)
    try:
        first = model(x, training=True)
        second = model(x, training=True)
    finally:
        assign_all(variables, before)
    return float(ops.mean(divergence(first, second)))


class ConsistencyProbe(keras.callbacks.Callback):
    """Adds the divergence of two passes to the logs, as `probe_kl`.

    The `kl` that `RDropModel` logs exists only where alpha is above 0 and moves while the
    weights do. This figure is measured at the end of an epoch, on the same examples every
    time, and for every alpha alike: only so can runs be compared.

    Args:
        network: The plain model inside the `RDropModel`.
        x: The examples to measure on.
        divergence: A function of two predictions that returns one number per example.
        every: Measure at the end of every so many epochs, and of the last one.

    Example:
    >>> import numpy as np
    >>> from rdrop_tf.losses import symmetric_kl
    >>> x, y = np.ones((4, 2)), np.zeros(4)
    >>> model = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Dense(3)])
    >>> model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> history = model.fit(x, y, verbose=0, callbacks=[ConsistencyProbe(model, x, symmetric_kl)])
    >>> history.history["probe_kl"][0] > 0
    True
    """

    def __init__(
        self, network: keras.Model, x: Nested, divergence: Divergence, every: int = 1
    ) -> None:
        super().__init__()
        self.network = network
        self.x = x
        self.divergence = divergence
        self.every = every

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures, where it is this epoch's turn, and adds the figure to the logs."""
        done = epoch + 1
        if logs is not None and (done % self.every == 0 or done == self.params["epochs"]):
            logs[PROBE_LOG] = pass_divergence(self.network, self.x, self.divergence)
