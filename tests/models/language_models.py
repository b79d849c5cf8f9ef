"""Small language models that end in a vocabulary head, and the same without one."""

from typing import Any

import keras
import numpy as np
from keras import layers

from rdrop_tf.layers import VocabularyHead

VOCABULARY, WIDTH, LENGTH = 23, 8, 6


def tokens(rows: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Token ids, some of them padding, and the next ones."""
    rng = np.random.default_rng(seed)
    x = rng.integers(1, VOCABULARY, (rows, LENGTH + 1))
    x[::2, 4:] = 0
    return x[:, :-1], x[:, 1:]


def trunk(mask_zero: bool = False, rate: float = 0.3) -> tuple[Any, Any, Any]:
    """Returns input, hidden states and the embedding of a small model."""
    inputs = keras.Input((LENGTH,), dtype="int32")
    embedding = layers.Embedding(VOCABULARY, WIDTH, mask_zero=mask_zero, name="embedding")
    x = layers.Dropout(rate, seed=1)(embedding(inputs))
    x = layers.Dense(WIDTH, "tanh")(x)
    return inputs, layers.Dropout(rate, seed=2, name="hidden")(x), embedding


class TiedDense(layers.Layer):
    """The plain projection by an embedding's matrix, which nothing recognises."""

    def __init__(self, embedding: Any, bias: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embedding, self.use_bias = embedding, bias
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self.bias = self.add_weight(shape=(VOCABULARY,), name="bias") if self.use_bias else None

    def call(self, x: Any) -> Any:
        logits = keras.ops.matmul(x, keras.ops.transpose(self.embedding.embeddings))
        return logits if self.bias is None else logits + self.bias

    def compute_output_shape(self, shape: Any) -> Any:
        return (*shape[:-1], VOCABULARY)


def plain(kind: str, **options: Any) -> keras.Model:
    """The model whose logits are all made."""
    inputs, hidden, embedding = trunk(**options)
    if kind.startswith("tied"):
        head = TiedDense(embedding, bias=kind.endswith("bias"))
    else:
        head = layers.Dense(
            VOCABULARY,
            use_bias=kind.endswith("bias"),
            kernel_regularizer="l2" if kind == "regularised" else None,
        )
    return keras.Model(inputs, head(hidden))


def headed(kind: str, **options: Any) -> keras.Model:
    """The same model with a head that R-Drop knows."""
    inputs, hidden, embedding = trunk(**options)
    if kind == "reversible":
        inputs = keras.Input((LENGTH,), dtype="int32")
        embedding = layers.ReversibleEmbedding(VOCABULARY, WIDTH)
        x = layers.Dropout(0.3, seed=1)(embedding(inputs))
        x = layers.Dropout(0.3, seed=2)(layers.Dense(WIDTH, "tanh")(x))
        return keras.Model(inputs, embedding(x, reverse=True))
    tied = kind.startswith("tied")
    head = VocabularyHead(
        None if tied else VOCABULARY,
        tied_to=embedding if tied else None,
        use_bias=kind.endswith("bias"),
        kernel_regularizer="l2" if kind == "regularised" else None,
    )
    return keras.Model(inputs, head(hidden))


class Subclassed(keras.Model):
    """A model without a graph that ends in a head."""

    def __init__(self, head: Any = None, use: str = "output") -> None:
        super().__init__()
        self.embedding = layers.Embedding(VOCABULARY, WIDTH)
        self.first = layers.Dropout(0.3, seed=1)
        self.dense = layers.Dense(WIDTH, "tanh")
        self.second = layers.Dropout(0.3, seed=2)
        self.head = head or VocabularyHead(VOCABULARY)
        self.use = use

    def call(self, inputs: Any, training: bool = False) -> Any:
        x = self.first(self.embedding(inputs), training=training)
        logits = self.head(self.second(self.dense(x), training=training))
        top = keras.ops.logsumexp(logits, axis=-1)
        if self.use == "z_loss":
            self.add_loss(keras.ops.mean(top**2))
        if self.use == "second_output":
            return logits, top
        return keras.ops.tanh(logits) if self.use == "capped" else logits
