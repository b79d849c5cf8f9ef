"""Where the random numbers of a batch come from."""

import keras
import numpy as np

from rdrop_tf._typing import Tensor

# More than one batch ever draws; keeps the seeds of different `seed` apart.
_DRAWS_PER_BATCH = 512


class Draws(keras.random.SeedGenerator):
    """Seeds that follow from a seed and a batch's number alone.

    Keras' own generator counts in a variable. Under `tf.data.Dataset.map` with parallel calls
    the batches race for it, and which batch gets which seed is left to chance. This one holds
    no variable: its seeds are worked out, one after the other, for one batch.

    Args:
        seed: Tells apart two pipelines.
        batch: Tells apart two batches: a number, or a scalar int64 tensor of TensorFlow.
        in_graph: Whether TensorFlow is tracing, and the seeds are tensors of its own.

    Example:
    >>> first, again, other = Draws(0, 7), Draws(0, 7), Draws(0, 8)
    >>> uniform = keras.random.uniform
    >>> float(uniform((), seed=first)) == float(uniform((), seed=again))
    True
    >>> float(uniform((), seed=first)) == float(uniform((), seed=other))
    False
    """

    def __init__(self, seed: int, batch: Tensor, in_graph: bool = False) -> None:
        # The parent's __init__ makes the variable that is not wanted here.
        self.seed = seed
        self.batch = batch
        self.in_graph = in_graph
        self.count = 0

    def next(self, ordered: bool = True) -> Tensor:
        """Returns the next seed: two integers, as Keras' random functions take them."""
        count, self.count = self.count, self.count + 1
        if self.in_graph:
            import tensorflow as tf

            own = tf.constant(self.seed * _DRAWS_PER_BATCH + count, tf.int64)
            return tf.stack([tf.cast(self.batch, tf.int64), own])
        state = np.random.SeedSequence([self.seed, int(self.batch), count]).generate_state(2)
        # 31 bits, as one backend's seeds are signed and another's are not.
        words = state & np.uint32(0x7FFFFFFF)
        dtype = "int64" if keras.backend.backend() == "tensorflow" else "uint32"
        return keras.ops.convert_to_tensor(words, dtype=dtype)
