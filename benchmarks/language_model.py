"""A Transformer language model of Keras layers alone, on every backend."""

import keras
import numpy as np
from keras import layers

from rdrop_tf.layers import VocabularyHead


def causal_language_model(
    *,
    vocabulary: int,
    length: int,
    depth: int,
    width: int,
    heads: int,
    hidden: int | None = None,
    attention_dropout: float = 0.1,
    vocabulary_head: bool = False,
) -> keras.Model:
    """A pre-norm Transformer decoder with an untied vocabulary head.

    Args:
        vocabulary: Number of tokens.
        length: Tokens of a text.
        depth: Layers.
        width: Features of a token, a multiple of `heads`.
        heads: Attention heads.
        hidden: Features between the projections of a feed-forward block; None for 4 × width.
        attention_dropout: Dropout of the attention weights; elsewhere it is .1.
        vocabulary_head: Whether the head is a `VocabularyHead` or a Dense layer.
    """
    tokens = keras.Input((length,), dtype="int32")
    positions = layers.Embedding(length, width)(np.arange(length)[None])
    x = layers.Dropout(0.1)(layers.Embedding(vocabulary, width)(tokens) + positions)
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        attention = layers.MultiHeadAttention(heads, width // heads, dropout=attention_dropout)
        x = x + layers.Dropout(0.1)(attention(y, y, use_causal_mask=True))
        y = layers.LayerNormalization()(x)
        y = layers.Dense(hidden or 4 * width, activation="gelu")(y)
        x = x + layers.Dropout(0.1)(layers.Dense(width)(y))
    x = layers.LayerNormalization()(x)
    head = (
        VocabularyHead(vocabulary, use_bias=True) if vocabulary_head else layers.Dense(vocabulary)
    )
    return keras.Model(tokens, head(x))
