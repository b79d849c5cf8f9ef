"""The models and batches that steps are timed on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers

from benchmarks.language_model import causal_language_model
from rdrop_tf import RDropModel
from rdrop_tf.tasks.tiny_vit import tiny_vit

ALPHA = 1.0
Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Workload:
    """A model with dropout, a batch for it, and what both are, in words.

    Attributes:
        build: Makes the model.
        batch: Draws the batch.
        words: What both are.
        with_head: Makes the same model with a `VocabularyHead`, where it has one.
    """

    build: Callable[[], keras.Model]
    batch: Callable[[], Batch]
    words: str
    with_head: Callable[[], keras.Model] | None = None

    def rdrop(self, **arguments: Any) -> RDropModel:
        """Wraps the model, with its `VocabularyHead` where it has one."""
        return RDropModel((self.with_head or self.build)(), alpha=ALPHA, **arguments)


def text_encoder(
    *, vocabulary: int, length: int, depth: int, width: int, heads: int
) -> keras.Model:
    """A post-norm encoder with dropout from its embeddings on, as BERT has, and two classes."""
    tokens = keras.Input((length,), dtype="int32")
    positions = layers.Embedding(length, width)(np.arange(length)[None])
    x = layers.Embedding(vocabulary, width)(tokens) + positions
    x = layers.Dropout(0.1)(layers.LayerNormalization()(x))
    for _ in range(depth):
        y = layers.MultiHeadAttention(heads, width // heads, dropout=0.1)(x, x)
        x = layers.LayerNormalization()(x + layers.Dropout(0.1)(y))
        y = layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(x))
        x = layers.LayerNormalization()(x + layers.Dropout(0.1)(y))
    pooled = layers.Dropout(0.1)(layers.Dense(width, activation="tanh")(x[:, 0]))
    return keras.Model(tokens, layers.Dense(2)(pooled))


def convolutional_net(*, image_size: int, channels: tuple[int, ...], classes: int) -> keras.Model:
    """Convolutions without noise, and dropout before the classifier alone."""
    pixels = keras.Input((image_size, image_size, 3))
    x = layers.Rescaling(1 / 255)(pixels)
    for width in channels:
        x = layers.MaxPooling2D()(layers.Conv2D(width, 3, padding="same", activation="relu")(x))
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(pixels, layers.Dense(classes)(x))


def images(rows: int, size: int, channels: int, classes: int) -> Batch:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (rows, size, size, channels)).astype("float32")
    return pixels, draw.integers(0, classes, rows)


def texts(rows: int, length: int, vocabulary: int, classes: int | None = None) -> Batch:
    """Tokens, and a label for each text or, without `classes`, for each token."""
    draw = np.random.default_rng(0)
    shape = (rows, length) if classes is None else (rows,)
    tokens = draw.integers(0, vocabulary, (rows, length))
    return tokens, draw.integers(0, classes or vocabulary, shape)


def language_model(batch: Callable[[], Batch], words: str, **sizes: int) -> Workload:
    build = partial(causal_language_model, **sizes)
    return Workload(
        build, batch, words, partial(causal_language_model, vocabulary_head=True, **sizes)
    )


_VIT = {"depth": 4, "width": 128, "heads": 4, "hidden": 512, "dropout": 0.1}
WORKLOADS: dict[str, Workload] = {
    "vit": Workload(
        partial(tiny_vit, image_size=32, patch_size=4, max_pixel=255, num_classes=100, **_VIT),
        partial(images, 32, 32, 1, 100),
        "vision transformer, 4 layers of 128, 64 patches, 100 classes, batch 32",
    ),
    "bert": Workload(
        partial(text_encoder, vocabulary=5000, length=64, depth=2, width=128, heads=4),
        partial(texts, 32, 64, 5000, 2),
        "text encoder with dropout from its embeddings on, 2 layers of 128, batch 32 × 64",
    ),
    "lm": language_model(
        partial(texts, 16, 64, 5000),
        "Transformer language model, 2 layers of 128, vocabulary 5,000, batch 16 × 64",
        **{"vocabulary": 5000, "length": 64, "depth": 2, "width": 128, "heads": 4},
    ),
    "cnn": Workload(
        partial(convolutional_net, image_size=32, channels=(32, 64, 128), classes=10),
        partial(images, 64, 32, 3, 10),
        "convolutional net with dropout before its classifier alone, batch 64 of 32 × 32",
    ),
}
# Without attention, whose variables make up most of what a step takes to trace and compile.
SMOKE: dict[str, Workload] = {
    "lm": language_model(
        partial(texts, 4, 8, 50),
        "a language model of embeddings and a head alone, to try the script",
        **{"vocabulary": 50, "length": 8, "depth": 0, "width": 8, "heads": 2},
    ),
}


def loss() -> Any:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
