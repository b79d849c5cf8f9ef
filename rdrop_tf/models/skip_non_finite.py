"""An optimizer that leaves out the steps whose gradients are no numbers."""

from typing import Any

import keras

from rdrop_tf._typing import Tensor

_NEVER = 2**31 - 1


def stepping_optimizer(optimizer: Any) -> Any:
    """Returns the optimizer whose state is to be kept: that inside of `SkipNonFinite`.

    What is its own says nothing, so a training may go on with it, or without.
    """
    return optimizer.inner_optimizer if isinstance(optimizer, SkipNonFinite) else optimizer


@keras.saving.register_keras_serializable(package="rdrop_tf")
class SkipNonFinite(keras.optimizers.LossScaleOptimizer):
    """Takes another optimizer's steps, but for those with a gradient that is NaN or infinite.

    Such a step changes no weight, moment or step count, on none of the replicas. The figures of
    `RDropModel.fit` leave it out, and its logs count it as `skipped`. It is a loss scale that
    stays at 1, so Keras' own decision is what skips. In mixed_float16 a real loss scale is needed,
    which skips as well.

    Args:
        inner_optimizer: The optimizer.
        name: Its name.

    Example:
    >>> import numpy as np
    >>> from rdrop_tf import RDropModel
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.1),
    ...                           keras.layers.Dense(3)])
    >>> rdrop = RDropModel(model)
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> rdrop.compile(SkipNonFinite(keras.optimizers.Adam()), loss)
    >>> x, y = np.ones((8, 2), "float32"), np.zeros(8)
    >>> x[:4] = np.nan
    >>> logs = rdrop.fit(x, y, batch_size=4, shuffle=False, verbose=0).history
    >>> int(logs["skipped"][0]), bool(np.isfinite(logs["loss"][0]))
    (1, True)
    """

    def __init__(self, inner_optimizer: keras.optimizers.Optimizer, name: str | None = None):
        super().__init__(inner_optimizer, 1.0, _NEVER, name=name)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        inner = keras.saving.serialize_keras_object(self.inner_optimizer)
        return {"inner_optimizer": inner, "name": self.name}

    # The names are Keras': what becomes of a step that is skipped, here nothing.

    def _stateful_handle_non_finite_grads(self) -> None:
        pass

    def _stateless_handle_non_finite_grads(
        self, optimizer_variables: list[Tensor], trainable_variables: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        return trainable_variables, optimizer_variables
