"""The losses of a vocabulary head that are timed and weighed, forward and backward.

- plain: Keras' cross-entropy on the rows of all passes put below one another;
- README: one projection per pass and the formula of the official README, differentiated;
- linear: `rdrop_tf.losses.linear_rdrop`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from rdrop_tf.losses import linear_rdrop

ALPHA = 1.0
Head = Callable[[], None]
Loss = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Sizes:
    """Sizes of a head.

    Attributes:
        rows: Rows of each pass.
        features: Features of a row.
        classes: Classes.
        passes: Passes.
    """

    rows: int
    features: int
    classes: int
    passes: int = 2

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draws hidden states, kernel and labels."""
        draw = np.random.default_rng(0)
        hidden = draw.standard_normal((self.passes, self.rows, self.features), np.float32)
        kernel = draw.standard_normal((self.features, self.classes), np.float32)
        kernel *= self.features**-0.5
        return hidden, kernel, draw.integers(0, self.classes, self.rows, np.int32)

    def tensors(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        hidden, kernel, labels = (tf.constant(x) for x in self.arrays())
        return hidden, kernel, labels


def plain(hidden: tf.Tensor, kernel: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of every pass, as Keras computes it."""
    logits = tf.reshape(hidden, (-1, hidden.shape[-1])) @ kernel
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return cross_entropy(tf.tile(labels, [hidden.shape[0]]), logits)


def readme(hidden: tf.Tensor, kernel: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The formula of the official README on two passes, with means over the rows."""
    first, second = hidden[0] @ kernel, hidden[1] @ kernel
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ce = 0.5 * (cross_entropy(labels, first) + cross_entropy(labels, second))
    return ce + ALPHA / 2 * 0.5 * (kl(first, second) + kl(second, first))


def kl(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    """KL(p || q) of logits, a mean over the rows."""
    log_p, log_q = tf.nn.log_softmax(p), tf.nn.log_softmax(q)
    return tf.reduce_mean(tf.reduce_sum(tf.nn.softmax(p) * (log_p - log_q), -1))


def linear(chunk_size: int | None = None) -> Loss:
    """Makes the chunked loss; None lets it choose its chunks."""
    return lambda hidden, kernel, labels: linear_rdrop(
        hidden, kernel, labels, alpha=ALPHA, chunk_size=chunk_size
    )


LOSSES: dict[str, Loss] = {"plain": plain, "README formula": readme, "linear_rdrop": linear()}
MODES = {"graph": False, "XLA": True}


def head(loss: Loss, tensors: tuple[tf.Tensor, tf.Tensor, tf.Tensor], xla: bool) -> Head:
    """Makes a function that computes loss and gradients once and waits for them."""

    @tf.function(jit_compile=xla)
    def step(
        hidden: tf.Tensor, kernel: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            tape.watch([hidden, kernel])
            value = loss(hidden, kernel, labels)
        return value, tape.gradient(value, [hidden, kernel])

    def once() -> None:
        value, gradients = step(*tensors)
        # One number of each is enough: what computes it must have ended.
        float(value), *(float(x[..., 0, 0].numpy().ravel()[0]) for x in gradients)

    return once
