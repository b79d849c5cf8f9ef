"""What a model computes in, and its logits in float32 whatever that is."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from rdrop_tf._typing import Tensor

LOGITS = "float32"


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Lets layers that are made inside compute in a dtype.

    Args:
        name: Of a Keras dtype policy.

    Example:
    >>> with dtype_policy("mixed_bfloat16"):
    ...     layer = keras.layers.Dense(1)
    >>> layer.compute_dtype, layer.variable_dtype, keras.config.dtype_policy().name
    ('bfloat16', 'float32', 'float32')
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def in_float32(logits: Tensor) -> Tensor:
    """Has a model's logits in float32: softmax and losses want their digits.

    Where they come from a dense layer, that computes in float32; others are cast.

    Args:
        logits: What a functional model ends with.

    Returns:
        The same in float32; itself where it is that.
    """
    if keras.backend.standardize_dtype(logits.dtype) == LOGITS:
        return logits
    head = logits._keras_history.operation
    if isinstance(head, keras.layers.Dense):
        head.dtype_policy = keras.DTypePolicy(LOGITS)
    # What is known of the tensor goes on to be half precision.
    return keras.layers.Activation("linear", dtype=LOGITS, name="in_float32")(logits)
