"""Layers that are stochastic in ways of their own, and models with deterministic parts."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

CLASSES = 3


@keras.saving.register_keras_serializable(package="tests")
class Counting(layers.Dense):
    """A dense layer that counts its calls with `training=True`."""

    calls = 0

    def call(self, inputs: Any, training: bool = False) -> Any:
        self.calls += int(bool(training))
        return super().call(inputs)


class RawNoise(layers.Layer):
    """Draws with an operation of TensorFlow, rarely anything that shows."""

    def __init__(self, rate: float = 0.001) -> None:
        super().__init__()
        self.rate = rate

    def call(self, x: Any, training: bool = False) -> Any:
        import tensorflow as tf

        return tf.nn.dropout(x, self.rate) if training else x


class GlobalNoise(layers.Layer):
    """Draws with Keras' global generator."""

    def call(self, x: Any, training: bool = False) -> Any:
        return keras.random.dropout(x, 0.5) if training else x


class NoiseOfLongSequences(layers.Layer):
    """Draws for more than so many positions: made-up data may be shorter."""

    def call(self, x: Any, training: bool = False) -> Any:
        draws = training and x.shape[1] is not None and x.shape[1] > 12
        return keras.random.dropout(x, 0.5) if draws else x


class RareNoiseOfJax(layers.Layer):
    """Draws with JAX itself, rarely anything that shows, by a count that moves."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        import jax

        if not training:
            return x
        self.calls.assign(self.calls + 1)
        key = jax.random.PRNGKey(self.calls.value)
        return x * (jax.random.uniform(key, x.shape) > 1e-6)


class FrozenNoise(layers.Layer):
    """Draws the same noise each time."""

    def call(self, x: Any, training: bool = False) -> Any:
        return keras.random.dropout(x, 0.5, seed=3) if training else x


class NumpyNoise(layers.Layer):
    """Draws with NumPy, where nothing of Keras can listen."""

    def call(self, x: Any, training: bool = False) -> Any:
        return x + float(np.random.uniform()) if training else x


class DropPath(layers.Layer):
    """Stochastic depth with a generator where Keras does not look for it."""

    def __init__(self, rate: float = 0.01) -> None:
        super().__init__()
        self.rate, generator = rate, keras.random.SeedGenerator(1)
        self.generator = lambda: generator

    def call(self, x: Any, training: bool = False) -> Any:
        if not training:
            return x
        shape = (ops.shape(x)[0], *[1] * (len(x.shape) - 1))
        keep = keras.random.uniform(shape, seed=self.generator()) > self.rate
        return x * ops.cast(keep, x.dtype)


class HiddenNoise(layers.Layer):
    """A residual branch with dropout that counts for nothing as it starts."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = self.add_weight(shape=(), initializer="zeros")

    def call(self, x: Any, training: bool = False) -> Any:
        return x + self.scale * (GlobalNoise()(x, training=True) if training else x)


class Drifting(layers.Layer):
    """Its output follows a state that every call moves."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        if not training:
            return x
        self.steps.assign_add(1.0)
        return x * self.steps


def with_layer(layer: layers.Layer, shape: tuple[int, ...] = (8,)) -> keras.Model:
    """A counting layer, the one in question, and a head."""
    x = keras.Input(shape)
    h = layer(Counting(shape[-1], name="before")(x))
    return keras.Model(x, layers.Dense(CLASSES, name="head")(h))


# Models with a prefix


def chain(rate: float) -> keras.Model:
    x = keras.Input((8,))
    h = Counting(16, activation="tanh", name="before")(x)
    h = layers.BatchNormalization()(h)
    h = layers.Dropout(rate, seed=1)(h)
    return keras.Model(x, Counting(CLASSES, name="after")(h))


def sequential(rate: float) -> keras.Model:
    """Not built before its first batch."""
    before, after = Counting(16, activation="tanh", name="before"), Counting(CLASSES, name="after")
    return keras.Sequential([before, layers.Dropout(rate, seed=1), after])


def branches(rate: float) -> keras.Model:
    """One branch draws, one does not; a third goes around both."""
    x = keras.Input((8,))
    stem = Counting(16, activation="tanh", name="before")(x)
    quiet = Counting(16, activation="tanh", name="before_too")(stem)
    noisy = Counting(16, activation="tanh", name="after")(layers.Dropout(rate, seed=1)(stem))
    both = layers.Add()([quiet, noisy]) * 0.5 + stem
    return keras.Model(x, layers.Dense(CLASSES)(layers.Dropout(rate, seed=2)(both)))


def shared_layer(rate: float) -> keras.Model:
    """One layer before and behind the noise, with a loss of its own at every call."""
    x = keras.Input((16,))
    layer = layers.Dense(16, "tanh", activity_regularizer="l2", kernel_regularizer="l2")
    h = layer(layers.Dropout(rate, seed=1)(layer(layer(x))))
    return keras.Model(x, layers.Dense(CLASSES)(h))


def masks(rate: float) -> keras.Model:
    """Attention takes the masks from what it attends to; others need them afterwards."""
    x = keras.Input((6,), dtype="int32")
    h = layers.Embedding(20, 8, mask_zero=True)(x)
    a = layers.MultiHeadAttention(2, 4)(h, h)
    noisy = layers.MultiHeadAttention(2, 4, dropout=rate, seed=1)(h, a)
    h = layers.Add()([h, a, layers.Dropout(rate, seed=2)(a), noisy])
    h = layers.Concatenate()([h, layers.LSTM(8, return_sequences=True)(h)])
    return keras.Model(x, layers.Dense(CLASSES)(h))


def nested(rate: float) -> keras.Model:
    """The frontier lies two models deep, and one model is used before and behind it."""
    x = keras.Input((8,))
    inner = keras.Sequential(
        [
            keras.Input((8,)),
            Counting(8, activation="tanh", name="before"),
            layers.Dropout(rate, seed=1),
            Counting(8, activation="tanh", name="after"),
        ],
        name="inner",
    )
    y = keras.Input((8,))
    stem = keras.Model(y, layers.BatchNormalization()(layers.Dense(8)(y)), name="stem")
    z = keras.Input((8,))
    outer = keras.Model(z, inner(stem(z)), name="outer")
    h = stem(outer(stem(x)))
    return keras.Model(x, layers.Dense(CLASSES, name="head")(h))


def several(rate: float) -> keras.Model:
    """Two inputs by name, an output before the noise and one behind it."""
    a, b = keras.Input((8,), name="a"), keras.Input((1,), name="b")
    p, q = keras.Input((8,)), keras.Input((1,))
    pair = keras.Model(
        [p, q], [layers.Dense(8, "tanh")(p), layers.Dropout(rate, seed=1)(layers.Dense(4)(q))]
    )
    left, right = pair([a, b])
    kind = layers.Dense(CLASSES, name="kind")(layers.Concatenate()([left, right]))
    return keras.Model({"a": a, "b": b}, [kind, layers.Dense(1, name="size")(left)])


def half(rate: float) -> keras.Model:
    policy = keras.DTypePolicy("mixed_bfloat16")
    y = keras.Input((8,))
    inner = keras.Model(y, Counting(8, name="before", dtype=policy)(y))
    x = keras.Input((8,))
    h = layers.Dropout(rate, seed=1, dtype=policy)(inner(layers.Dense(8, dtype=policy)(x)))
    return keras.Model(x, layers.Dense(CLASSES, dtype=policy)(h))


def images(rate: float) -> keras.Model:
    x = keras.Input((8, 8, 3))
    h = Counting(4, name="before")(layers.Conv2D(4, 3)(x))
    h = layers.Dropout(rate, seed=1)(layers.Flatten()(h))
    return keras.Model(x, layers.Dense(CLASSES)(h))


PREFIXED: dict[str, Callable[[float], keras.Model]] = {
    "chain": chain,
    "sequential": sequential,
    "branches": branches,
    "shared layer": shared_layer,
    "masks": masks,
    "nested": nested,
    "several": several,
    "images": images,
}
