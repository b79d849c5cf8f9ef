"""The models and batches that steps are timed on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from rdrop_tf.tasks.tiny_vit import tiny_vit


@dataclass(frozen=True)
class Workload:
    """A model with dropout .1, a batch for it, and what both are, in words."""

    build: Callable[[], keras.Model]
    batch: Callable[[], tuple[np.ndarray, np.ndarray]]
    words: str


def causal_language_model(
    *, vocabulary: int, length: int, depth: int, width: int, heads: int
) -> keras.Model:
    """A pre-norm Transformer decoder with an untied vocabulary head."""
    tokens = keras.Input((length,), dtype="int32")
    positions = layers.Embedding(length, width)(np.arange(length)[None])
    x = layers.Dropout(0.1)(layers.Embedding(vocabulary, width)(tokens) + positions)
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        attention = layers.MultiHeadAttention(heads, width // heads, dropout=0.1)
        x = x + layers.Dropout(0.1)(attention(y, y, use_causal_mask=True))
        y = layers.Dense(4 * width, activation="gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dropout(0.1)(layers.Dense(width)(y))
    return keras.Model(tokens, layers.Dense(vocabulary)(layers.LayerNormalization()(x)))


def _small_vit() -> keras.Model:
    sizes = {"depth": 4, "width": 128, "heads": 4, "hidden": 512, "dropout": 0.1}
    return tiny_vit(image_size=32, patch_size=4, max_pixel=255, num_classes=100, **sizes)


def _images() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (32, 32, 32, 1)).astype("float32"), draw.integers(0, 100, 32)


def _small_lm() -> keras.Model:
    return causal_language_model(vocabulary=5000, length=64, depth=2, width=128, heads=4)


def _texts() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.integers(0, 5000, (16, 64)), draw.integers(0, 5000, (16, 64))


def _smoke_lm() -> keras.Model:
    return causal_language_model(vocabulary=50, length=8, depth=1, width=8, heads=2)


def _smoke_texts() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.integers(0, 50, (4, 8)), draw.integers(0, 50, (4, 8))


WORKLOADS: dict[str, Workload] = {
    "vit": Workload(
        _small_vit,
        _images,
        "vision transformer, 4 layers of 128, 64 patches, 100 classes, batch 32",
    ),
    "lm": Workload(
        _small_lm,
        _texts,
        "Transformer language model, 2 layers of 128, vocabulary 5,000, batch 16 × 64",
    ),
}
SMOKE: dict[str, Workload] = {
    "lm": Workload(_smoke_lm, _smoke_texts, "a language model of 1 layer of 8, to try the script"),
}


def loss() -> Any:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
