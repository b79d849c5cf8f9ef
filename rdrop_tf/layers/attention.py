"""Attention whose projected keys and values can be kept from step to step of decoding."""

from typing import Any, TypeAlias

import keras
from keras import ops

from rdrop_tf._typing import Tensor

# Projected keys and values by these names, each of shape (rows, heads, positions, size of a head);
# those that self-attention keeps from step to step (rows, heads, positions, beams, size of a head).
KeysAndValues: TypeAlias = dict[str, Tensor]

# What is added to the scores of masked places, always in float32 or float64. Finite, so that
# where all places are masked the weights are even, and gradients finite.
_MASKED = -1e9


class Attention(keras.layers.Layer):
    """What self-attention and attention to another sequence have in common.

    Formula: of each head, with q, k, v projected and d features of a head,
        weights = softmax(q kᵀ / √d) where the mask is True, 0 elsewhere,
        output = projection of the heads' weights · v, side by side.

    The softmax is computed in float32 under half precision. A query that may attend to nothing
    attends to everything alike.

    Args:
        heads: Attention heads, a divisor of the features.
        dropout: Of the weights, in training.
        **kwargs: `name`, `dtype`, `trainable`.
    """

    def __init__(self, heads: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.dropout = heads, dropout
        self.supports_masking = True
        self._dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self._output: Any = None

    def _make(self, name: str, width: int, parts: int = 1) -> keras.layers.Dense:
        """Makes and builds one projection, or several of the same inputs as one product."""
        # Xavier uniform of all three projections as one matrix, as fairseq has it.
        limit = (1.5 / width) ** 0.5
        initializer: Any = keras.initializers.RandomUniform(-limit, limit)
        if name == "output":
            initializer = keras.initializers.GlorotUniform()
        dense = keras.layers.Dense(
            parts * width, kernel_initializer=initializer, dtype=self.dtype_policy, name=name
        )
        dense.build((None, None, width))
        return dense

    def _by_head(self, x: Tensor, parts: int) -> list[Tensor]:
        """Cuts (rows, positions, parts · width) into parts of (rows, heads, positions, d)."""
        rows, positions, width = ops.shape(x)
        shape = (rows, positions, parts, self.heads, width // parts // self.heads)
        return list(ops.unstack(ops.transpose(ops.reshape(x, shape), (2, 0, 3, 1, 4)), axis=0))

    def _attend(
        self, queries: Tensor, kept: KeysAndValues, mask: Tensor | None, training: bool | None
    ) -> Tensor:
        """Returns the output for queries of shape (rows, heads, positions, d)."""
        queries = queries * queries.shape[-1] ** -0.5
        scores = ops.matmul(queries, ops.transpose(kept["key"], (0, 1, 3, 2)))
        if self.compute_dtype in ("float16", "bfloat16"):
            scores = ops.cast(scores, "float32")
        if mask is not None:
            scores = scores + (1 - ops.cast(mask, scores.dtype)) * _MASKED
        weights = ops.cast(ops.softmax(scores, axis=-1), self.compute_dtype)
        weights = self._dropout(weights, training=training)
        heads = ops.transpose(ops.matmul(weights, kept["value"]), (0, 2, 1, 3))
        rows, positions, number, size = ops.shape(heads)
        return self._output(ops.reshape(heads, (rows, positions, number * size)))

    def compute_output_shape(self, x_shape: Any) -> Any:
        """Returns the shape of the queries."""
        return x_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "heads": self.heads, "dropout": self.dropout}


@keras.saving.register_keras_serializable(package="rdrop_tf")
class SelfAttention(Attention):
    """Attention of a sequence to itself; can go on from step to step. See `Attention`.

    Queries, keys and values are one product: one matrix of shape (width, 3 · width).

    Call arguments:
        x: Shape (rows, positions, width).
        allowed: True where a query may attend to a key, of a shape that can be broadcast to
            (rows, heads, queries, keys); None allows all.
        training: Whether weights are dropped.

    Example:
    >>> import keras
    >>> from rdrop_tf.layers.attention import SelfAttention
    >>> layer = SelfAttention(heads=2)
    >>> layer(keras.ops.ones((3, 5, 8))).shape
    TensorShape([3, 5, 8])
    """

    def build(self, x_shape: Any) -> None:
        """Makes the projections."""
        self._projection = self._make("query_key_value", x_shape[-1], parts=3)
        self._output = self._make("output", x_shape[-1])

    def call(
        self, x: Tensor, allowed: Tensor | None = None, training: bool | None = None
    ) -> Tensor:
        """Attends to all positions that are allowed."""
        queries, keys, values = self._by_head(self._projection(x), 3)
        return self._attend(queries, {"key": keys, "value": values}, allowed, training)

    def empty(self, rows: Any, length: int, beams: int = 1) -> KeysAndValues:
        """Returns what `step` starts from: zeros for `length` positions."""
        width = self._projection.units // 3
        shape = (rows, self.heads, length, beams, width // self.heads)
        return {name: ops.zeros(shape, self.compute_dtype) for name in ("key", "value")}

    def step(
        self, x: Tensor, position: Tensor, kept: KeysAndValues, allowed: Tensor
    ) -> tuple[Tensor, KeysAndValues]:
        """Attends from one position to itself and those before it.

        Args:
            x: The vectors of this position, a row's beams side by side, shape
                (rows, beams, width).
            position: Its number, an integer scalar.
            kept: Keys and values of the positions before it.
            allowed: True where a beam may attend to what a beam kept at a position, shape
                (rows, beams, positions, beams).

        Returns:
            The output, shape (rows, beams, width), and what to keep for the next position.
        """
        queries, keys, values = self._by_head(self._projection(x), 3)
        rows, heads, length, beams, size = ops.shape(kept["key"])
        # Written by slice: choosing between old and new passes over the whole cache.
        start = (0, 0, ops.cast(position, "int32"), 0, 0)
        kept = {
            "key": ops.slice_update(kept["key"], start, ops.expand_dims(keys, 2)),
            "value": ops.slice_update(kept["value"], start, ops.expand_dims(values, 2)),
        }
        shape = (rows, heads, length * beams, size)
        all_beams = {name: ops.reshape(part, shape) for name, part in kept.items()}
        mask = ops.reshape(allowed, (rows, 1, beams, length * beams))
        return self._attend(queries, all_beams, mask, False), kept


@keras.saving.register_keras_serializable(package="rdrop_tf")
class CrossAttention(Attention):
    """Attention to another sequence, whose projections can be kept. See `Attention`.

    Keys and values are one product: one matrix of shape (width, 2 · width).

    Call arguments:
        x: Shape (rows, positions, width).
        memory: The other sequence, shape (rows, other positions, width).
        allowed: As for `SelfAttention`.
        training: Whether weights are dropped.

    Example:
    >>> import keras
    >>> from rdrop_tf.layers.attention import CrossAttention
    >>> layer = CrossAttention(heads=2)
    >>> layer(keras.ops.ones((3, 5, 8)), keras.ops.ones((3, 7, 8))).shape
    TensorShape([3, 5, 8])
    """

    def build(self, x_shape: Any) -> None:
        """Makes the projections."""
        self._query = self._make("query", x_shape[-1])
        self._key_value = self._make("key_value", x_shape[-1], parts=2)
        self._output = self._make("output", x_shape[-1])

    def call(
        self,
        x: Tensor,
        memory: Tensor,
        allowed: Tensor | None = None,
        training: bool | None = None,
    ) -> Tensor:
        """Attends to all positions of the memory that are allowed."""
        return self.attend(x, self.project(memory), allowed, training)

    def project(self, memory: Tensor) -> KeysAndValues:
        """Returns the keys and values of the other sequence."""
        keys, values = self._by_head(self._key_value(memory), 2)
        return {"key": keys, "value": values}

    def attend(
        self,
        x: Tensor,
        projected: KeysAndValues,
        allowed: Tensor | None = None,
        training: bool | None = None,
    ) -> Tensor:
        """Attends to a sequence that is projected already."""
        (queries,) = self._by_head(self._query(x), 1)
        return self._attend(queries, projected, allowed, training)
