"""Models and data of every kind that RDropModel has to train, small and seeded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers, ops

ROWS, BATCH, CLASSES, TOKENS = 40, 8, 3, 6


@dataclass(frozen=True)
class Case:
    """A model, its data, and how it is compiled and fitted."""

    build: Callable[[float], keras.Model]
    data: Callable[[], tuple[Any, Any]]
    compile: Callable[[], dict[str, Any]] = field(default=lambda: {})
    loss: Callable[[], Any] = field(
        default=lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    fit: dict[str, Any] = field(default_factory=dict)
    # What plain Keras needs in place of `fit`, where it fails on the same.
    plain_fit: dict[str, Any] | None = None
    optimizer: Callable[[], Any] = field(default=lambda: keras.optimizers.SGD(0.05, momentum=0.9))


def rng(seed: int = 0) -> np.random.RandomState:
    return np.random.RandomState(seed)


def features() -> tuple[np.ndarray, np.ndarray]:
    return rng().randn(ROWS, 8).astype("float32"), rng(1).randint(0, CLASSES, ROWS)


def tokens() -> tuple[np.ndarray, np.ndarray]:
    """Token ids with very different numbers of padding (0) at the end."""
    ids = rng().randint(1, 20, (ROWS, TOKENS))
    for row, length in enumerate(rng(1).randint(1, TOKENS + 1, ROWS)):
        ids[row, length:] = 0
    return ids, rng(2).randint(0, CLASSES, (ROWS, TOKENS))


def functional(rate: float) -> keras.Model:
    x = keras.Input((8,))
    h = layers.Dropout(rate)(layers.Dense(16, activation="tanh")(x))
    return keras.Model(x, layers.Dense(CLASSES)(h))


def sequential(rate: float) -> keras.Model:
    hidden = layers.Dense(16, activation="relu")
    return keras.Sequential([hidden, layers.Dropout(rate), layers.Dense(CLASSES)])


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, rate: float, **options: Any) -> None:
        super().__init__(**options)
        self.rate = rate
        self.hidden, self.head = layers.Dense(16, activation="tanh"), layers.Dense(CLASSES)
        self.dropout = layers.Dropout(rate)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.head(self.dropout(self.hidden(inputs), training=training))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


class NestedInputs(Subclassed):
    """Takes {"text": {"left": ..., "right": ...}, "scale": ...}."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        both = ops.concatenate([inputs["text"]["left"], inputs["text"]["right"]], axis=-1)
        return super().call(both * inputs["scale"], training=training)


def nested_features() -> tuple[Any, np.ndarray]:
    x, y = features()
    nested = {"text": {"left": x[:, :4], "right": x[:, 4:]}, "scale": np.ones((ROWS, 1), "float32")}
    return nested, y


def dict_inputs(rate: float) -> keras.Model:
    a, b = keras.Input((8,), name="a"), keras.Input((1,), name="b")
    h = layers.Dropout(rate)(layers.Dense(16, activation="tanh")(a))
    return keras.Model({"a": a, "b": b}, layers.Dense(CLASSES)(layers.Concatenate()([h, b])))


def dict_features() -> tuple[Any, np.ndarray]:
    x, y = features()
    return {"a": x, "b": x[:, :1]}, y


def two_outputs(rate: float) -> keras.Model:
    x = keras.Input((8,))
    h = layers.Dropout(rate)(layers.Dense(16, activation="tanh")(x))
    outputs = [layers.Dense(CLASSES, name="kind")(h), layers.Dense(1, name="size")(h)]
    return keras.Model(x, outputs)


def two_labels() -> tuple[np.ndarray, Any]:
    x, y = features()
    return x, {"kind": y, "size": x.sum(-1, keepdims=True)}


def two_losses() -> Any:
    return {"kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mse"}


def masked(rate: float) -> keras.Model:
    x = keras.Input((TOKENS,), dtype="int32")
    h = layers.Embedding(20, 12, mask_zero=True)(x)
    h = layers.Dropout(rate)(layers.Dense(16, activation="tanh")(h))
    return keras.Model(x, layers.Dense(CLASSES)(h))


def regularised(rate: float) -> keras.Model:
    x = keras.Input((8,))
    h = layers.Dense(16, "tanh", kernel_regularizer="l2", activity_regularizer="l2")(x)
    return keras.Model(x, layers.Dense(CLASSES)(layers.Dropout(rate)(h)))


def constant(value: float) -> keras.initializers.Initializer:
    return keras.initializers.Constant(value)


def batch_norm(rate: float) -> keras.Model:
    x = keras.Input((8,))
    # Starts at 0.5, so that no weight reaches 1, where one rounding is 1.2e-7 already.
    start = {"gamma_initializer": constant(0.5), "moving_variance_initializer": constant(0.5)}
    norm = layers.BatchNormalization(momentum=0.8, **start)
    h = norm(layers.Dense(16, activation="tanh")(x))
    return keras.Model(x, layers.Dense(CLASSES)(layers.Dropout(rate)(h)))


def softmax_head(rate: float) -> keras.Model:
    x = keras.Input((8,))
    h = layers.Dropout(rate)(layers.Dense(16, activation="tanh")(x))
    return keras.Model(x, layers.Dense(CLASSES, activation="softmax")(h))


def sigmoid_head(rate: float) -> keras.Model:
    x = keras.Input((8,))
    h = layers.Dropout(rate)(layers.Dense(16, activation="tanh")(x))
    return keras.Model(x, layers.Dense(4, activation="sigmoid")(h))


def many_labels() -> tuple[np.ndarray, np.ndarray]:
    return features()[0], rng(3).randint(0, 2, (ROWS, 4)).astype("float32")


def half(rate: float) -> keras.Model:
    with_policy = {"dtype": "mixed_float16"}
    x = keras.Input((8,))
    h = layers.Dense(16, activation="tanh", **with_policy)(x)
    h = layers.Dropout(rate, **with_policy)(h)
    model = keras.Model(x, layers.Dense(CLASSES, **with_policy)(h))
    model.dtype_policy = keras.DTypePolicy("mixed_float16")
    return model


ROW_WEIGHTS = rng(4).uniform(0, 2, ROWS).astype("float32")

CASES = {
    "functional": Case(functional, features),
    "sequential": Case(sequential, features),
    "subclassed": Case(Subclassed, features),
    "nested inputs": Case(NestedInputs, nested_features),
    "dict inputs": Case(dict_inputs, dict_features),
    "several outputs": Case(
        two_outputs, two_labels, lambda: {"loss_weights": {"kind": 1.0, "size": 0.3}}, two_losses
    ),
    "mask": Case(masked, tokens),
    "row weights": Case(functional, features, fit={"sample_weight": ROW_WEIGHTS}),
    "row weights on tokens": Case(
        masked,
        tokens,
        fit={"sample_weight": ROW_WEIGHTS},
        plain_fit={"sample_weight": np.repeat(ROW_WEIGHTS[:, None], TOKENS, axis=1)},
    ),
    "class weights": Case(functional, features, fit={"class_weight": {0: 1.0, 1: 3.0, 2: 0.5}}),
    "regularisers": Case(regularised, features),
    "batch norm": Case(batch_norm, features),
    "softmax": Case(softmax_head, features, loss=lambda: "sparse_categorical_crossentropy"),
    "sigmoid": Case(sigmoid_head, many_labels, loss=lambda: "binary_crossentropy"),
    "clipnorm": Case(
        functional, features, optimizer=lambda: keras.optimizers.SGD(0.1, clipnorm=0.01)
    ),
    "adamw": Case(functional, features, optimizer=lambda: keras.optimizers.AdamW(1e-3)),
    "ema": Case(
        functional,
        features,
        optimizer=lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=2),
    ),
    "accumulation": Case(
        functional,
        features,
        optimizer=lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=2),
    ),
    "several steps a call": Case(functional, features, lambda: {"steps_per_execution": 3}),
    "jit": Case(functional, features, lambda: {"jit_compile": True}),
    "half precision": Case(half, features),
}


def train(
    case: Case, rate: float, wrap: Callable[[keras.Model], keras.Model] | None = None
) -> tuple[keras.Model, dict[str, Any]]:
    """Builds the case's model, trains it for one epoch of 5 steps, returns it and its logs."""
    keras.utils.set_random_seed(11)
    model = case.build(rate)
    trained = model if wrap is None else wrap(model)
    trained.compile(case.optimizer(), case.loss(), **case.compile())
    x, y = case.data()
    options = case.plain_fit if wrap is None and case.plain_fit else case.fit
    logs = trained.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, **options).history
    return model, logs


def largest_difference(a: keras.Model, b: keras.Model) -> float:
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    return max(float(np.abs(p.astype("float64") - q).max()) for p, q in pairs)
