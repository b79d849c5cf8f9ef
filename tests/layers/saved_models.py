"""SavedModels of every make, written to a folder, small and seeded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

CLASSES, WIDTH, TOKENS = 3, 8, 4
WORDS = ["good", "bad", "fine", "poor"]


def rng(seed: int = 0) -> np.random.RandomState:
    return np.random.RandomState(seed)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return rng(seed).randn(*shape).astype("float32")


def features(rows: int = 20) -> tuple[np.ndarray, np.ndarray]:
    return normal(rows, WIDTH), rng(1).randint(0, CLASSES, rows)


def texts(rows: int = 20) -> tuple[np.ndarray, np.ndarray]:
    words = np.array([*WORDS, "unknown"], dtype=object)
    return words[rng(2).randint(0, 5, (rows, TOKENS))], rng(1).randint(0, CLASSES, rows)


def ids(rows: int = 20) -> tuple[np.ndarray, np.ndarray]:
    return rng(2).randint(0, 5, (rows, TOKENS)), rng(1).randint(0, CLASSES, rows)


def save_module(module: Any, folder: Path, *spec: Any, trainings: Any = (False, True)) -> str:
    """Saves a tf.Module with a graph of `__call__` for each value of `training`."""
    import tensorflow as tf

    for training in trainings:
        module.__call__.get_concrete_function(*spec, training=training)
    tf.saved_model.save(module, str(folder))
    return str(folder)


def text_encoder(folder: Path) -> str:
    """Strings, a lookup table with a vocabulary file, an embedding, statistics, dropout."""
    import tensorflow as tf

    vocabulary = folder.parent / f"{folder.name}.txt"
    vocabulary.write_text("\n".join(WORDS))

    class Encoder(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            rows = tf.lookup.TextFileInitializer(
                str(vocabulary),
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            )
            self.words = tf.lookup.StaticVocabularyTable(rows, 1)
            self.table = tf.Variable(normal(5, WIDTH), name="table")
            self.kernel = tf.Variable(normal(WIDTH, WIDTH, seed=1), name="dense/kernel")
            self.mean = tf.Variable(tf.zeros(WIDTH), trainable=False, name="norm/mean")

        @tf.function
        def __call__(self, x: Any, training: bool = False) -> Any:
            h = tf.reduce_mean(tf.gather(self.table, self.words.lookup(x)), axis=1)
            if training:
                self.mean.assign(0.9 * self.mean + 0.1 * tf.reduce_mean(h, axis=0))
                h = tf.nn.dropout(h, 0.4)
            return tf.tanh((h - self.mean) @ self.kernel)

    encoder = save_module(Encoder(), folder, tf.TensorSpec([None, TOKENS], tf.string))
    vocabulary.unlink()  # the SavedModel has its own copy
    return encoder


def noise(folder: Path, source: str = "unseeded", rate: float = 0.5, **options: Any) -> str:
    """Dropout on the inputs, then one weight for each column; noise from one of `SOURCES`."""
    import tensorflow as tf

    class Noise(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = tf.Variable(tf.ones(()), name="scale")
            if source == "generator":
                self.generator = tf.random.Generator.from_seed(1)

        @tf.function
        def __call__(self, x: Any, training: bool = False) -> Any:
            if training and source == "generator":
                x = tf.where(self.generator.uniform(tf.shape(x)) < rate, 0.0, x / (1 - rate))
            elif training:
                x = tf.nn.dropout(x, rate, seed=3 if source == "operation seed" else None)
            return x * self.scale

    tf.random.set_seed(5 if source == "global seed" else None)
    return save_module(Noise(), folder, tf.TensorSpec([None, None]), **options)


SOURCES = ["unseeded", "operation seed", "global seed", "generator"]


def keras_encoder(rate: float = 0.4, seed: int = 0) -> keras.Model:
    """Token ids, an embedding, BatchNorm and dropout, in Keras 3."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((TOKENS,), dtype="int32"),
            layers.Embedding(5, WIDTH, keras.initializers.RandomNormal(stddev=1.0), name="words"),
            layers.GlobalAveragePooling1D(),
            layers.BatchNormalization(momentum=0.8, name="norm"),
            layers.Dense(WIDTH, "tanh", name="hidden"),
            layers.Dropout(rate, seed=7),
        ],
        name="encoder",
    )


def keras_module(folder: Path, model: keras.Model, tensor_training: bool = False) -> str:
    """A Keras 3 model as a tf.Module with `__call__(inputs, training)`."""
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept = [v.value for v in model.variables + model.non_trainable_variables]

        @tf.function
        def __call__(self, x: Any, training: Any = False) -> Any:
            if not tensor_training:
                return model(x, training=training)
            return tf.cond(
                training, lambda: model(x, training=True), lambda: model(x, training=False)
            )

    spec = tf.TensorSpec([None, TOKENS], tf.int32)
    trainings = [tf.TensorSpec([], tf.bool)] if tensor_training else (False, True)
    return save_module(Module(), folder, spec, trainings=trainings)


def keras_export(folder: Path, model: keras.Model) -> str:
    """A Keras 3 export with an endpoint for each mode, and without `__call__`."""
    import tensorflow as tf

    spec = [tf.TensorSpec([None, *model.input_shape[1:]], model.input_dtype)]
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", lambda x: model(x, training=False), spec)
    archive.add_endpoint("train", lambda x: model(x, training=True), spec)
    archive.write_out(str(folder), verbose=False)
    return str(folder)


def plain(folder: Path, build: Callable[[Any], Any], training_argument: bool = True) -> str:
    """One dense layer with a variable that `build` makes; without noise."""
    import tensorflow as tf

    class Plain(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = build(normal(WIDTH, WIDTH))

    class WithTraining(Plain):
        @tf.function(input_signature=[tf.TensorSpec([None, WIDTH]), tf.TensorSpec([], tf.bool)])
        def __call__(self, x: Any, training: Any) -> Any:
            return x @ self.kernel

    class Without(Plain):
        @tf.function(input_signature=[tf.TensorSpec([None, WIDTH])])
        def __call__(self, x: Any) -> Any:
            return x @ self.kernel

    tf.saved_model.save(WithTraining() if training_argument else Without(), str(folder))
    return str(folder)
