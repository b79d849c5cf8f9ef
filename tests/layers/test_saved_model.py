"""A SavedModel trains as a layer of a Keras model, alone and with two passes."""

import contextlib
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from rdrop_tf import RDropModel
from rdrop_tf.layers import SavedModelLayer
from rdrop_tf.models import RDropWarning
from tests.layers import saved_models

pytestmark = pytest.mark.tensorflow

FORWARDS = ["two_calls", "concat"]


@pytest.fixture(scope="session")
def mirrored() -> Any:
    """One strategy object a process: TensorFlow mixes up the collectives of several."""
    from tests.models.test_step_tensorflow import mirrored as shared

    return shared


def classifier(encoder: Any, shape: tuple[int, ...], dtype: str) -> keras.Model:
    x = keras.Input(shape, dtype=dtype)
    head = layers.Dense(
        saved_models.CLASSES, kernel_initializer=keras.initializers.GlorotUniform(seed=3)
    )
    return keras.Model(x, head(encoder(x)))


def text_classifier(folder: str, **options: Any) -> keras.Model:
    encoder = SavedModelLayer(folder, **options)
    return classifier(encoder, (saved_models.TOKENS,), "string")


def id_classifier(encoder: Any) -> keras.Model:
    return classifier(encoder, (saved_models.TOKENS,), "int32")


def compiled(model: keras.Model, **options: Any) -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, **options)
    return model


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Weights by the last part of their name, whatever layer or SavedModel holds them."""
    named = {v.path.split("/")[-1].removeprefix("encoder_"): v for v in model.weights}
    return {name: np.array(ops.convert_to_numpy(v)) for name, v in named.items()}


def strings(data: tuple[np.ndarray, np.ndarray]) -> tuple[Any, Any]:
    import tensorflow as tf

    return tf.constant(data[0]), tf.constant(data[1])


# Training


@pytest.mark.parametrize("forward", FORWARDS)
def test_strings_an_embedding_statistics_and_dropout_train(tmp_path: Path, forward: str) -> None:
    model = text_classifier(saved_models.text_encoder(tmp_path / "text"))
    before = weights(model)
    rdrop = compiled(RDropModel(model, forward=forward))
    logs = rdrop.fit(*strings(saved_models.texts()), batch_size=8, epochs=3, verbose=0).history
    after = weights(model)
    assert set(after) == {"table", "dense_kernel", "norm_mean", "kernel", "bias"}
    assert all(np.abs(after[name] - before[name]).max() > 1e-3 for name in after)
    assert min(logs["kl"]) > 1e-4
    assert logs["ce"][-1] < logs["ce"][0]
