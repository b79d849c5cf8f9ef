"""What several devices must train exactly as one: models, data and options, small and seeded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from rdrop_tf import RDropModel
from rdrop_tf.layers import VocabularyHead

BATCH, STEPS, TOKENS, WORDS, CLASSES, FEATURES = 9, 5, 6, 20, 3, 8
ROWS = BATCH * STEPS

Data = tuple[Any, ...]


@dataclass(frozen=True)
class Case:
    """A model, its data, and how it is trained.

    Args:
        build: Makes the model.
        data: Inputs, labels, and sample weights where there are any.
        optimizer: Makes the optimizer.
        wrap: Arguments of `RDropModel`.
        divergence: Whether the passes of the model differ.
    """

    build: Callable[[], keras.Model]
    data: Callable[[], Data]
    optimizer: Callable[[], keras.optimizers.Optimizer] = field(
        default=lambda: keras.optimizers.SGD(0.05, momentum=0.9)
    )
    wrap: Mapping[str, Any] = field(default_factory=dict)
    divergence: bool = True


@keras.saving.register_keras_serializable(package="rdrop_tf_benchmarks")
class PassScale(layers.Layer):
    """Multiplies by 1, 3, 1, 3, ... from call to call in training: noise one can repeat."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self.calls = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        if not training:
            return x
        odd = ops.cast(self.calls % 2, x.dtype)
        self.calls.assign(self.calls + 1)
        return x * (1.0 + 2.0 * odd)


def token_model() -> keras.Model:
    x = keras.Input((TOKENS,), dtype="int32")
    start = keras.initializers.RandomNormal(stddev=0.3)
    h = layers.Embedding(WORDS, 12, start, mask_zero=True)(x)
    h = PassScale()(layers.Dense(16)(h))
    return keras.Model(x, layers.Dense(CLASSES)(h))


def row_model() -> keras.Model:
    x = keras.Input((FEATURES,))
    h = layers.Dense(16, "tanh", kernel_regularizer="l2", activity_regularizer="l2")(x)
    return keras.Model(x, layers.Dense(CLASSES)(PassScale()(h)))


def prefix_model() -> keras.Model:
    """A prefix whose gradient comes from both passes."""
    x = keras.Input((FEATURES,))
    h = layers.Dense(16, "tanh")(layers.Dense(32, "tanh")(x))
    return keras.Model(x, layers.Dense(CLASSES)(PassScale()(h)))


def headed_model() -> keras.Model:
    x = keras.Input((TOKENS,), dtype="int32")
    h = layers.Embedding(WORDS, 12, mask_zero=True)(x)
    h = PassScale()(layers.Dense(16, "tanh")(h))
    return keras.Model(x, VocabularyHead(WORDS)(h))


class Mixed(keras.Model):
    """Takes strings, flags and ragged numbers, which `tf.distribute` has no mean of."""

    def __init__(self) -> None:
        super().__init__()
        self.hashing = layers.Hashing(WORDS)
        self.embedding = layers.Embedding(WORDS, 12)
        self.scale = PassScale()
        self.head = layers.Dense(CLASSES)

    def call(self, inputs: Any, training: bool = False) -> Any:
        words = self.embedding(self.hashing(inputs["text"]))
        keep = ops.cast(inputs["keep"], "float32")[..., None]
        numbers = inputs["numbers"]
        if hasattr(numbers, "to_tensor"):
            numbers = numbers.to_tensor(shape=(None, TOKENS))
        h = ops.concatenate([ops.sum(words * keep, axis=1), numbers], axis=-1)
        return self.head(self.scale(h, training=training))


def bert() -> keras.Model:
    import keras_hub

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *TEXT]
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=names)
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(names),
        num_layers=1,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=8,
        dropout=0.0,
    )
    return keras_hub.models.BertTextClassifier(
        backbone=backbone,
        preprocessor=keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=8),
        num_classes=CLASSES,
        dropout=0.0,
    )


TEXT = ("the", "quick", "brown", "fox", "jumped", "over", "a", "lazy", "dog", "slept")


def rng(seed: int) -> np.random.RandomState:
    return np.random.RandomState(seed)


def labels(rows: int, *shape: int, classes: int = CLASSES) -> np.ndarray:
    return rng(2).randint(0, classes, (rows, *shape))


def equal_tokens() -> Data:
    return rng(7).randint(1, WORDS, (ROWS, TOKENS)), labels(ROWS, TOKENS)


def unequal_tokens(rows: int = ROWS) -> Data:
    """Rows of each batch are full or hold one token: the last replica has few tokens."""
    ids = rng(7).randint(1, WORDS, (rows, TOKENS))
    ids[np.arange(rows) % BATCH >= BATCH // 2 + 1, 1:] = 0
    return ids, labels(rows, TOKENS)


def headed_tokens() -> Data:
    ids = rng(7).randint(1, WORDS, (ROWS, TOKENS))
    ids[np.arange(ROWS) % BATCH >= BATCH // 2 + 1, 1:] = 0
    return ids, labels(ROWS, TOKENS, classes=WORDS)


def feature_rows(rows: int = ROWS) -> Data:
    return rng(0).randn(rows, FEATURES).astype("float32"), labels(rows)


def row_weights() -> Data:
    return *unequal_tokens(), rng(4).uniform(0, 2, ROWS).astype("float32")


def token_weights() -> Data:
    return *unequal_tokens(), rng(4).uniform(0, 2, (ROWS, TOKENS)).astype("float32")


def mixed_rows() -> Data:
    import tensorflow as tf

    words = rng(3).choice(TEXT, (ROWS, TOKENS))
    numbers = [rng(row).randn(1 + row % TOKENS).astype("float32") for row in range(ROWS)]
    inputs = {
        "text": tf.constant(words),
        "keep": tf.constant(rng(5).rand(ROWS, TOKENS) < 0.7),
        "numbers": tf.RaggedTensor.from_row_lengths(
            np.concatenate(numbers), [len(each) for each in numbers]
        ),
    }
    data = tf.data.Dataset.from_tensor_slices((inputs, tf.constant(labels(ROWS))))
    return (data.batch(BATCH),)


def texts() -> Data:
    return [" ".join(rng(row).choice(TEXT, 5)) for row in range(ROWS)], labels(ROWS)


def sgd(**options: Any) -> Callable[[], keras.optimizers.Optimizer]:
    return lambda: keras.optimizers.SGD(0.05, **options)


def adamw_by_schedule(**options: Any) -> keras.optimizers.Optimizer:
    """Its moments are corrected by the count of updates, its rate looked up by that of slices."""
    rate = keras.optimizers.schedules.PolynomialDecay(1e-2, STEPS, 1e-3)
    return keras.optimizers.AdamW(rate, weight_decay=0.1, **options)


CASES: dict[str, Case] = {
    "equal tokens": Case(token_model, equal_tokens),
    "unequal tokens": Case(token_model, unequal_tokens),
    "uneven last batch": Case(token_model, lambda: unequal_tokens(ROWS - 4)),
    "uneven first batch": Case(token_model, lambda: unequal_tokens(BATCH - 2)),
    "an empty replica": Case(token_model, lambda: unequal_tokens(ROWS - BATCH + 1)),
    "row weights": Case(token_model, row_weights),
    "token weights": Case(token_model, token_weights),
    "rows, regularised": Case(row_model, lambda: feature_rows(ROWS - 4)),
    "clipnorm": Case(token_model, unequal_tokens, sgd(clipnorm=0.02)),
    "global_clipnorm": Case(token_model, unequal_tokens, sgd(global_clipnorm=0.02)),
    "clipvalue": Case(token_model, unequal_tokens, sgd(clipvalue=0.005)),
    "accumulation": Case(
        token_model, unequal_tokens, sgd(gradient_accumulation_steps=2, global_clipnorm=0.02)
    ),
    "accumulation, every 2nd update": Case(
        token_model, unequal_tokens, sgd(gradient_accumulation_steps=2), wrap={"every": 2}
    ),
    "accumulation, AdamW, a schedule": Case(
        token_model, unequal_tokens, lambda: adamw_by_schedule(gradient_accumulation_steps=2)
    ),
    "AdamW": Case(
        token_model, unequal_tokens, lambda: keras.optimizers.AdamW(1e-3, weight_decay=0.1)
    ),
    "VocabularyHead": Case(headed_model, headed_tokens),
    "shared prefix": Case(
        prefix_model, lambda: feature_rows(ROWS - 4), wrap={"forward": "shared_prefix"}
    ),
    "one concatenated call": Case(bert, texts, wrap={"forward": "concat"}, divergence=False),
    "strings, flags, ragged": Case(Mixed, mixed_rows),
    "KerasHub BERT on strings": Case(bert, texts, divergence=False),
    "the paper's scale": Case(token_model, unequal_tokens, wrap={"normalize": "paper"}),
    "alpha 0": Case(token_model, unequal_tokens, wrap={"alpha": 0.0}, divergence=False),
    "every 2nd step": Case(token_model, unequal_tokens, wrap={"every": 2}),
}


def train(case: Case, scope: Any) -> tuple[list[np.ndarray], dict[str, float]]:
    """Trains a case for an epoch; returns its weights and the logs of the epoch."""
    keras.utils.set_random_seed(5)
    with scope:
        model = case.build()
        rdrop = RDropModel(model, **{"alpha": 3.0, "forward": "two_calls", **case.wrap})
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rdrop.compile(case.optimizer(), loss, metrics=["accuracy"])
    x, *rest = case.data()
    options = {"batch_size": BATCH} if rest else {}
    if len(rest) == 2:
        options["sample_weight"] = rest.pop()
    logs = rdrop.fit(x, *rest, shuffle=False, verbose=0, **options).history
    return model.get_weights(), {name: values[-1] for name, values in logs.items()}
