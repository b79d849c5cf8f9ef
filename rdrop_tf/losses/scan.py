"""A loop over chunks of arrays that keeps what has to be kept and nothing more.

`keras.ops.scan` keeps every value of the carry on TensorFlow: with a gradient of the size of a
vocabulary in it, that is a copy for each chunk.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import keras
from keras import ops

from rdrop_tf._typing import Tensor

if TYPE_CHECKING:
    import tensorflow as tf

Tensors: TypeAlias = tuple[Tensor, ...]
Body: TypeAlias = Callable[[Tensors, Tensors], tuple[Tensors, Tensor]]


def scan(body: Body, carry: Tensors, xs: Tensors, dtype: str) -> tuple[Tensors, Tensor]:
    """Calls `carry, y = body(carry, x)` for each x of a stack, in turn.

    Args:
        body: The function. Nothing is differentiated through it.
        carry: Its first carry.
        xs: Arrays with one first axis in common, whose size may be unknown on TensorFlow. Each
            y has the shape of a row of the first of them.
        dtype: The dtype of y.

    Returns:
        The last carry, and the stacked y.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow_scan(body, carry, xs, dtype)
    if backend == "jax":
        import jax

        return jax.lax.scan(body, carry, xs)
    kept = []
    for i in range(int(xs[0].shape[0])):
        carry, y = body(carry, tuple(x[i] for x in xs))
        kept.append(y)
    # Without rows there is nothing to stack, and the first of the arrays is as empty as y.
    return carry, ops.stack(kept) if kept else ops.cast(xs[0], dtype)


def _tensorflow_scan(body: Body, carry: Tensors, xs: Tensors, dtype: str) -> tuple[Tensors, Tensor]:
    import tensorflow as tf

    steps = xs[0].shape[0] or tf.shape(xs[0])[0]

    def step(i: Tensor, kept: "tf.TensorArray", *carry: Tensor) -> Tensors:
        # `tf.slice` keeps the static sizes, which XLA pads to the whole array without.
        x = tuple(_row(x, i) for x in xs)
        new, y = body(carry, x)
        return (i + 1, kept.write(i, y), *new)

    kept = tf.TensorArray(dtype, steps, element_shape=xs[0].shape[1:])
    _, kept, *carry = tf.while_loop(
        lambda i, *_: i < steps,
        step,
        (tf.constant(0), kept, *carry),
        # One chunk after the other: several at once would hold the logits of several.
        parallel_iterations=1,
    )
    return tuple(carry), kept.stack()


def _row(x: Tensor, i: Tensor) -> Tensor:
    import tensorflow as tf

    inner = x.shape[1:]
    begin = [i] + [0] * len(inner)
    return tf.reshape(tf.slice(x, begin, [1, *inner]), inner)
