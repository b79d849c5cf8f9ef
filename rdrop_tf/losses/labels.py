"""Integer labels: which are classes, and the error for those that are not."""

import re
from typing import Any

import keras
from keras import ops

from rdrop_tf._typing import Tensor


def valid_labels(labels: Tensor, classes: int | Tensor) -> Tensor:
    """Returns which labels lie in [0, classes)."""
    return ops.logical_and(labels >= 0, labels < ops.cast(classes, labels.dtype))


def require_no_bad_labels(labels: Tensor, bad: Tensor, classes: int | Tensor) -> None:
    """Raises if any label is marked as bad.

    In a TensorFlow graph the error comes from an assertion at the step that reads the
    label. Code compiled by XLA (`jit_compile=True`, and JAX) cannot raise; there the
    loss of such a step is NaN, and `RDropModel.fit` names the cause.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        _tensorflow_require(labels, bad, classes)
    elif backend != "jax" or not _is_jax_tracer(bad):
        found = ops.convert_to_numpy(labels)[ops.convert_to_numpy(bad)]
        if found.size:
            raise ValueError(message(found.min(), found.max(), classes))


def message(lowest: Any, highest: Any, classes: Any) -> str:
    """The sentence for labels out of range."""
    return f"{rule(classes)} Received: labels from {lowest} to {highest}"


def rule(classes: Any) -> str:
    """The rule that labels have to obey, and the cure."""
    return (
        f"Labels must be whole numbers from 0 to {classes} - 1, one for each of the {classes} "
        "classes of the predictions; give places without a label a `sample_weight` of 0, or "
        "the loss an `ignore_class`."
    )


def from_graph(error: Exception) -> ValueError | None:
    """Returns the error about labels that stands in TensorFlow's report of an assertion."""
    found = re.search(r"\[(Labels must be .*?)\] \[(\S+)\] \[to\] \[(\S+)\]", str(error))
    return ValueError("{} {} to {}".format(*found.groups())) if found else None


def _is_jax_tracer(x: Tensor) -> bool:
    import jax

    return isinstance(x, jax.core.Tracer)


def _tensorflow_require(labels: Tensor, bad: Tensor, classes: int | Tensor) -> None:
    import tensorflow as tf

    if tf.executing_eagerly():
        found = labels.numpy()[bad.numpy()]
        if found.size:
            raise ValueError(message(found.min(), found.max(), classes))
        return
    found = tf.boolean_mask(labels, bad)
    text = [f"{rule(classes)} Received: labels from", tf.reduce_min(found)]
    tf.debugging.Assert(
        tf.logical_not(tf.reduce_any(bad)), [*text, "to", tf.reduce_max(found)], summarize=1
    )
