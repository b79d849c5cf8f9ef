"""The layers of a Transformer's encoder and decoder."""

from typing import Any, TypedDict

import keras
from keras import layers, ops

from rdrop_tf._typing import Tensor
from rdrop_tf.layers.attention import CrossAttention, KeysAndValues, SelfAttention

# fairseq's, which is PyTorch's; Keras' own is 1e-3.
NORM_EPSILON = 1e-5


class BlockOptions(TypedDict):
    """What all blocks of a model share."""

    hidden: int
    heads: int
    dropout: float
    attention_dropout: float
    activation_dropout: float
    activation: str
    norm: str


class Residual(layers.Layer):
    """Adds what a sublayer makes of x to x, with dropout and normalisation where they belong.

    Formula: norm="post": LayerNorm(x + dropout(f(x))); norm="pre": x + dropout(f(LayerNorm(x))).
    """

    def __init__(self, norm: str, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.norm, self.rate = norm, dropout
        self.supports_masking = True
        self._norm = normalisation(dtype=self.dtype_policy, name="norm")
        self._dropout = layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, x_shape: Any) -> None:
        """Builds the normalisation."""
        self._norm.build(x_shape)

    def enter(self, x: Tensor) -> Tensor:
        """Returns what the sublayer is to be given for x."""
        return self._norm(x) if self.norm == "pre" else x

    def call(self, x: Tensor, of_sublayer: Tensor, training: bool | None = None) -> Tensor:
        """Returns the sum."""
        total = x + self._dropout(of_sublayer, training=training)
        return self._norm(total) if self.norm == "post" else total

    def compute_output_shape(self, x_shape: Any) -> Any:
        """Returns the shape of x."""
        return x_shape


class FeedForward(layers.Layer):
    """Two projections with an activation, and dropout, between them, at each position."""

    def __init__(self, hidden: int, activation: str, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self._first = layers.Dense(hidden, activation, dtype=self.dtype_policy, name="first")
        self._dropout = layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self._second: Any = None

    def build(self, x_shape: Any) -> None:
        """Makes the projections."""
        width = x_shape[-1]
        self._second = layers.Dense(width, dtype=self.dtype_policy, name="second")
        self._first.build(x_shape)
        self._second.build((*x_shape[:-1], self._first.units))

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """Returns what is to be added to x."""
        return self._second(self._dropout(self._first(x), training=training))

    def compute_output_shape(self, x_shape: Any) -> Any:
        """Returns the shape of x."""
        return x_shape


class _Block(layers.Layer):
    """What the blocks of both sides have: attention to itself and a feed-forward sublayer."""

    def __init__(self, options: BlockOptions, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self._options = options
        self.self_attention = SelfAttention(
            options["heads"],
            options["attention_dropout"],
            dtype=self.dtype_policy,
            name="self_attention",
        )
        self.feed_forward = FeedForward(
            options["hidden"],
            options["activation"],
            options["activation_dropout"],
            dtype=self.dtype_policy,
            name="feed_forward",
        )
        self._self_sum = self._residual("self_attention_sum")
        self._feed_forward_sum = self._residual("feed_forward_sum")

    def _residual(self, name: str) -> Residual:
        norm, dropout = self._options["norm"], self._options["dropout"]
        return Residual(norm, dropout, dtype=self.dtype_policy, name=name)

    def build(self, x_shape: Any) -> None:
        """Builds the layers inside."""
        for layer in self._flatten_layers(include_self=False, recursive=False):
            layer.build(x_shape)

    def compute_output_shape(self, x_shape: Any) -> Any:
        """Returns the shape of x."""
        return x_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "options": dict(self._options)}


@keras.saving.register_keras_serializable(package="rdrop_tf")
class EncoderBlock(_Block):
    """One layer of the encoder: attention to the source, then the feed-forward sublayer."""

    def call(self, x: Tensor, source_mask: Tensor, training: bool | None = None) -> Tensor:
        """Returns the next states of x (batch, s, width); source_mask (batch, s), True = keep."""
        allowed = by_key(source_mask)
        y = self.self_attention(self._self_sum.enter(x), allowed, training=training)
        x = self._self_sum(x, y, training=training)
        y = self.feed_forward(self._feed_forward_sum.enter(x), training=training)
        return self._feed_forward_sum(x, y, training=training)


@keras.saving.register_keras_serializable(package="rdrop_tf")
class DecoderBlock(_Block):
    """One layer of the decoder: attention to itself, to the source, then feed-forward."""

    def __init__(self, options: BlockOptions, **kwargs: Any) -> None:
        super().__init__(options, **kwargs)
        self.cross_attention = CrossAttention(
            options["heads"],
            options["attention_dropout"],
            dtype=self.dtype_policy,
            name="cross_attention",
        )
        self._cross_sum = self._residual("cross_attention_sum")

    def call(
        self, x: Tensor, memory: Tensor, source_mask: Tensor, training: bool | None = None
    ) -> Tensor:
        """Returns the next states of x (batch, t, width), given the encoder's (batch, s, width)."""
        allowed = causal_mask(ops.shape(x)[1])
        y = self.self_attention(self._self_sum.enter(x), allowed, training=training)
        x = self._self_sum(x, y, training=training)
        projected = self.cross_attention.project(memory)
        return self._after_self_attention(x, projected, source_mask, training)

    def step(
        self,
        x: Tensor,
        position: Tensor,
        projected: KeysAndValues,
        source_mask: Tensor,
        kept: KeysAndValues,
        allowed: Tensor,
    ) -> tuple[Tensor, KeysAndValues]:
        """Does the same for one position of all beams, x (batch, beams, width).

        `kept` is what earlier positions kept, and `allowed` as for `SelfAttention.step`.
        """
        y, kept = self.self_attention.step(self._self_sum.enter(x), position, kept, allowed)
        x = self._self_sum(x, y, training=False)
        return self._after_self_attention(x, projected, source_mask, False), kept

    def _after_self_attention(
        self, x: Tensor, projected: KeysAndValues, source_mask: Tensor, training: bool | None
    ) -> Tensor:
        allowed = by_key(source_mask)
        y = self.cross_attention.attend(self._cross_sum.enter(x), projected, allowed, training)
        x = self._cross_sum(x, y, training=training)
        y = self.feed_forward(self._feed_forward_sum.enter(x), training=training)
        return self._feed_forward_sum(x, y, training=training)


def normalisation(**kwargs: Any) -> layers.LayerNormalization:
    """Makes a layer normalisation with the Transformer's epsilon."""
    return layers.LayerNormalization(epsilon=NORM_EPSILON, **kwargs)


def by_key(source_mask: Tensor) -> Tensor:
    """Turns a mask of positions (rows, s) into one of keys: (rows, 1, 1, s)."""
    return ops.expand_dims(source_mask, (1, 2))


def causal_mask(length: Any) -> Tensor:
    """Returns which keys a query may see: itself and those before it, (1, 1, length, length)."""
    places = ops.arange(length, dtype="int32")
    return ops.expand_dims(ops.expand_dims(places, 1) >= places, (0, 1))
