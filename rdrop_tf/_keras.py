"""What Keras has under no public name, in one place.

Checked against keras 3.15. The training steps in `models` use, besides, what Keras' own trainers
share with their subclasses: `_compile_loss`, `_loss_tracker`, `_symbolic_build`.
"""

from typing import Any

import keras

from rdrop_tf._typing import Tensor


def get_mask(x: Any) -> Tensor | None:
    """Returns the mask that travels with a tensor (True = keep), or None."""
    return keras.src.backend.get_keras_mask(x)


def set_mask(x: Tensor, mask: Tensor) -> None:
    """Lets a mask travel with a tensor."""
    keras.src.backend.set_keras_mask(x, mask)


def get_logits(x: Any) -> Tensor | None:
    """Returns the logits that a softmax or sigmoid activation keeps with its output.

    Keras keeps them where the tensors of the backend take attributes (TensorFlow, Torch).
    """
    return getattr(x, "_keras_logits", None)


def set_logits(x: Tensor, logits: Tensor) -> None:
    """Keeps logits with the output of an activation, for Keras' own losses."""
    x._keras_logits = logits


def takes_training(model: Any) -> bool:
    """Whether a model's `call` has the argument `training`."""
    return bool(model._call_has_training_arg)


def losses_of_last_call(model: Any) -> list[Tensor]:
    """Returns what the last call added: `add_loss` and activity regularisers."""
    return [loss for layer in model._flatten_layers() for loss in layer._get_own_losses()]


def losses_of_weights(model: Any) -> list[Tensor]:
    """Returns the regularisation losses of the weights."""
    return list(model._get_regularization_losses())


# Matches losses, weights and metrics to outputs; `Model.compile` makes one.
CompileLoss = keras.src.trainers.compile_utils.CompileLoss


def in_stateless_scope() -> bool:
    """Whether values of variables live in a `keras.StatelessScope` at this moment."""
    return bool(keras.src.backend.common.stateless_scope.in_stateless_scope())


def in_symbolic_scope() -> bool:
    """Whether shapes alone are computed at this moment."""
    return bool(keras.src.backend.common.symbolic_scope.in_symbolic_scope())
