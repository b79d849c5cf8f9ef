"""A SavedModel trains as a layer of a Keras model, alone and with two passes."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from rdrop_tf import RDropModel
from rdrop_tf.layers import SavedModelLayer
from tests.layers import saved_models

pytestmark = pytest.mark.tensorflow

FORWARDS = ["two_calls", "concat"]


def classifier(encoder: Any, shape: tuple[int, ...], dtype: str) -> keras.Model:
    x = keras.Input(shape, dtype=dtype)
    initializer = keras.initializers.GlorotUniform(seed=3)
    head = layers.Dense(saved_models.CLASSES, kernel_initializer=initializer, name="head")
    return keras.Model(x, head(encoder(x)))


def text_classifier(folder: str, **options: Any) -> keras.Model:
    encoder = SavedModelLayer(folder, name="saved", **options)
    return classifier(encoder, (saved_models.TOKENS,), "string")


def id_classifier(encoder: Any) -> keras.Model:
    return classifier(encoder, (saved_models.TOKENS,), "int32")


def compiled(model: keras.Model, **options: Any) -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, **options)
    return model


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Weights by path, whether a SavedModel layer or the layers of Keras hold them."""

    def name(path: str) -> str:
        return path.replace("/", "_").removeprefix("saved_").removeprefix("encoder_")

    state = "seed_generator_state"  # a weight of the SavedModel's, not one of Keras' layers
    kept = [v for v in model.weights if not v.path.endswith(state)]
    return {name(v.path): np.array(ops.convert_to_numpy(v)) for v in kept}


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
    assert set(after) == {"table", "dense_kernel", "norm_mean", "head_kernel", "head_bias"}
    assert all(np.abs(after[name] - before[name]).max() > 1e-3 for name in after)
    assert min(logs["kl"]) > 1e-4
    assert logs["ce"][-1] < logs["ce"][0]


@pytest.mark.parametrize("tensor_training", [False, True])
@pytest.mark.parametrize("forward", FORWARDS)
def test_training_equals_that_of_the_same_layers_in_keras(
    tmp_path: Path, forward: str, tensor_training: bool
) -> None:
    """The SavedModel keeps the seed of its dropout, so that even the masks are the same."""
    folder = saved_models.keras_module(
        tmp_path / "encoder", saved_models.keras_encoder(), tensor_training
    )
    expected = id_classifier(saved_models.keras_encoder())
    model = id_classifier(SavedModelLayer(folder, name="saved"))
    logs = [
        compiled(RDropModel(one, alpha=2.0, forward=forward))
        .fit(*saved_models.ids(), batch_size=8, shuffle=False, epochs=2, verbose=0)
        .history
        for one in (expected, model)
    ]
    assert logs[0]["kl"][0] > 1e-3
    for key in ("loss", "ce", "kl"):
        np.testing.assert_allclose(logs[1][key], logs[0][key], rtol=1e-6)
    same_weights(model, expected)


def test_gradients_equal_those_of_the_same_layers_in_keras(tmp_path: Path) -> None:
    import tensorflow as tf

    encoder = saved_models.keras_encoder()
    layer = SavedModelLayer(saved_models.keras_module(tmp_path / "encoder", encoder))
    x, _ = saved_models.ids()
    gradients = []
    for one in (encoder, layer):
        with tf.GradientTape() as tape:
            loss = ops.sum(ops.square(one(tf.constant(x, "int32"), training=True)))
        found = tape.gradient(loss, [v.value for v in one.trainable_variables])
        gradients.append([tf.convert_to_tensor(g).numpy() for g in found])
    assert len(gradients[0]) == 5
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6)
        assert np.abs(a).max() > 1e-3


def same_weights(model: keras.Model, expected: keras.Model) -> None:
    found, wanted = weights(model), weights(expected)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
