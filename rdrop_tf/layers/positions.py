"""Layers that tell a sequence model where in the sequence each vector stands."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from rdrop_tf._typing import Tensor

_LONGEST_WAVE = 10000.0


def sinusoids(length: int, width: int) -> NDArray[np.float64]:
    """Returns sines and cosines of positions, in waves from 2π to 20000π positions long.

    Formula: with h = width // 2 and f(i) = 10000^(-i / max(h - 1, 1)),
        table[p, i] = sin(p f(i)) and table[p, h + i] = cos(p f(i)),  i = 0 .. h - 1;
    of an odd width the last column is 0.

    Source: tensor2tensor and fairseq, which put the sines before the cosines. "Attention Is All
    You Need" (arXiv 1706.03762, section 3.5) takes turns, and i / h in the place of i / (h - 1).

    Args:
        length: Positions, counted from 0.
        width: Features of a position.

    Returns:
        The table, shape (length, width).

    Example:
    >>> sinusoids(2, 4).round(4).tolist()
    [[0.0, 0.0, 1.0, 1.0], [0.8415, 0.0001, 0.5403, 1.0]]
    """
    angles = np.arange(length)[:, None] * _frequencies(width)
    table = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    return np.pad(table, [(0, 0), (0, width % 2)])


def _frequencies(width: int) -> NDArray[np.float64]:
    half = width // 2
    return np.power(_LONGEST_WAVE, -np.arange(half) / max(half - 1, 1))


def _sinusoids_of_unknown_length(length: Tensor, width: int) -> Tensor:
    """Computes the table where its length is known only when the graph runs."""
    # In float32 the sine of a position of 1000 would be off by 1e-4. Only TensorFlow has both
    # unknown lengths and float64 by itself.
    dtype = "float64" if keras.backend.backend() == "tensorflow" else "float32"
    positions = ops.expand_dims(ops.arange(length, dtype=dtype), -1)
    angles = positions * ops.convert_to_tensor(_frequencies(width), dtype)
    table = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)
    return ops.pad(table, [(0, 0), (0, width % 2)])


@keras.saving.register_keras_serializable(package="rdrop_tf")
class SinusoidalPositions(keras.layers.Layer):
    """Adds to each vector the fixed sines and cosines of its position.

    Formula: y[b, p] = x[b, p] + table[p], with the table of `sinusoids`; positions count from 0.
    Any length will do.

    Args:
        **kwargs: `name`, `dtype`.

    Call arguments:
        x: Shape (batch, positions, features).

    Returns:
        The sum, of the same shape. A mask is passed on.

    Example:
    >>> import keras
    >>> from rdrop_tf.layers.positions import SinusoidalPositions
    >>> SinusoidalPositions()(keras.ops.zeros((2, 3, 4))).shape
    TensorShape([2, 3, 4])
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x: Tensor) -> Tensor:
        """Adds a row of the table to each position."""
        length, width = ops.shape(x)[1:]
        if isinstance(length, int):
            table = sinusoids(length, width)
        else:
            table = _sinusoids_of_unknown_length(length, width)
        return x + ops.cast(table, self.compute_dtype)

    def one(self, x: Tensor, position: Tensor, length: int) -> Tensor:
        """Adds the row of one position to all vectors, as a step of decoding needs it.

        Args:
            x: Shape (..., features).
            position: The position, an integer scalar, from 0 to `length` - 1.
            length: How many positions there may be.
        """
        table = ops.cast(sinusoids(length, int(x.shape[-1])), self.compute_dtype)
        return x + ops.take(table, position, axis=0)

    def compute_output_shape(self, x_shape: Any) -> Any:
        """Returns the shape of the input."""
        return x_shape


@keras.saving.register_keras_serializable(package="rdrop_tf")
class LearnedPositions(keras.layers.Layer):
    """Adds to each vector a trained one for its position.

    Formula: y[b, p] = x[b, p] + weights[p]; positions count from 0. The weights start as
    N(0, 1 / features).

    Args:
        max_length: How many positions have a vector.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        x: Shape (batch, positions, features).

    Returns:
        The sum, of the same shape. A mask is passed on.

    Raises:
        ValueError: If there are more positions than `max_length`. Where TensorFlow learns the
            length only when a graph runs, an InvalidArgumentError of the same text.

    Example:
    >>> import keras
    >>> from rdrop_tf.layers.positions import LearnedPositions
    >>> layer = LearnedPositions(8)
    >>> layer(keras.ops.zeros((2, 3, 4))).shape, layer.count_params()
    (TensorShape([2, 3, 4]), 32)
    """

    def __init__(self, max_length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(max_length, int) or max_length < 1:
            raise ValueError(
                f"`max_length` must be a whole number >= 1. Received: max_length={max_length!r}"
            )
        self.max_length = max_length
        self.supports_masking = True

    def build(self, x_shape: Any) -> None:
        """Makes a vector for each position."""
        width = x_shape[-1]
        self.positions = self.add_weight(
            name="positions",
            shape=(self.max_length, width),
            initializer=keras.initializers.RandomNormal(stddev=width**-0.5),
        )

    def call(self, x: Tensor) -> Tensor:
        """Adds a row of the weights to each position."""
        length = ops.shape(x)[1]
        checked = check_length(length, self.max_length)
        return x + ops.cast(self.positions, self.compute_dtype)[:checked]

    def one(self, x: Tensor, position: Tensor, length: int) -> Tensor:
        """Adds the row of one position to all vectors: see `SinusoidalPositions.one`."""
        check_length(length, self.max_length)
        return x + ops.cast(ops.take(self.positions, position, axis=0), self.compute_dtype)

    def compute_output_shape(self, x_shape: Any) -> Any:
        """Returns the shape of the input."""
        return x_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "max_length": self.max_length}


def check_length(length: Any, max_length: int) -> Any:
    """Returns a length that learned positions reach.

    Args:
        length: A number, or a scalar tensor where it is known only when the graph runs.
        max_length: How many positions there are.

    Raises:
        ValueError: If the length is greater.
    """
    rule = "A sequence must not be longer than `max_length`, the number of learned positions."
    cure = "cut it, or build the model with a greater max_length or positions='sinusoidal'"
    if isinstance(length, int):
        if length > max_length:
            raise ValueError(
                f"{rule} Received: {length} tokens and max_length={max_length}; {cure}"
            )
        return length
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        text = f"{rule} Received: more tokens than max_length={max_length}; {cure}"
        with tf.control_dependencies([tf.debugging.assert_less_equal(length, max_length, text)]):
            return tf.identity(length)
    return length
