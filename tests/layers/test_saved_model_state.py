"""What a SavedModel changes by itself moves as the state of Keras' layers does."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf import RDropModel
from rdrop_tf.layers import SavedModelLayer
from tests.layers import saved_models
from tests.layers.test_saved_model import (
    compiled,
    id_classifier,
    same_weights,
    strings,
    text_classifier,
    weights,
)

pytestmark = pytest.mark.tensorflow

ROWS = 8


def mean_embedding() -> np.ndarray:
    """The mean over rows and tokens, by hand."""
    words, _ = saved_models.texts(ROWS)
    known = {word: row for row, word in enumerate(saved_models.WORDS)}
    rows = [[known.get(word, len(known)) for word in text] for text in words]
    return saved_models.normal(5, saved_models.WIDTH)[np.array(rows)].mean((0, 1))


@pytest.mark.parametrize(("forward", "passes"), [("two_calls", 3), ("concat", 2)])
def test_one_step_moves_statistics_once(tmp_path: Path, forward: str, passes: int) -> None:
    model = text_classifier(saved_models.text_encoder(tmp_path / "text"))
    rdrop = compiled(RDropModel(model, forward=forward, passes=passes))
    rdrop.fit(*strings(saved_models.texts(ROWS)), batch_size=ROWS, verbose=0)
    np.testing.assert_allclose(weights(model)["norm_mean"], 0.1 * mean_embedding(), rtol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_stateless_scope_takes_the_changes(tmp_path: Path, jit_compile: bool) -> None:
    import tensorflow as tf

    layer = SavedModelLayer(
        saved_models.keras_module(tmp_path / "encoder", saved_models.keras_encoder())
    )
    x = tf.constant(saved_models.ids()[0], "int32")
    state = layer.non_trainable_variables

    @tf.function(jit_compile=jit_compile)
    def scoped() -> Any:
        with keras.StatelessScope() as scope:
            layer(x, training=True)
            once = [tf.identity(scope.get_current_value(v)) for v in state]
            layer(x, training=True)
        return once, [scope.get_current_value(v) for v in state]

    before = [ops.convert_to_numpy(v) for v in state]
    once, twice = scoped()
    for variable, value in zip(state, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)
    for number in (once, twice):
        layer(x, training=True)
        for variable, value in zip(state, number, strict=True):
            np.testing.assert_allclose(ops.convert_to_numpy(variable), value, rtol=1e-6)


def test_evaluation_and_prediction_change_nothing(tmp_path: Path) -> None:
    model = compiled(text_classifier(saved_models.text_encoder(tmp_path / "text")))
    x, y = strings(saved_models.texts())
    before, first = weights(model), model.predict(x, verbose=0)
    model.evaluate(x, y, verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), first)
    for name, value in weights(model).items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("later", [False, True])
def test_a_frozen_layer_keeps_weights_and_statistics(tmp_path: Path, later: bool) -> None:
    folder = saved_models.text_encoder(tmp_path / "text")
    model = text_classifier(folder, trainable=later)
    model.get_layer("saved").trainable = False
    before = weights(model)
    compiled(model).fit(*strings(saved_models.texts()), batch_size=8, verbose=0)
    assert len(model.trainable_variables) == 2
    for name, value in weights(model).items():
        assert np.array_equal(value, before[name]) == (not name.startswith("head")), name


def test_a_layer_that_is_thawed_trains(tmp_path: Path) -> None:
    model = text_classifier(saved_models.text_encoder(tmp_path / "text"), trainable=False)
    model.get_layer("saved").trainable = True
    before = weights(model)
    compiled(model).fit(*strings(saved_models.texts()), batch_size=8, verbose=0)
    assert len(model.trainable_variables) == 4
    assert not any(np.array_equal(v, before[name]) for name, v in weights(model).items())


# Two replicas


def test_two_replicas_train_as_the_same_layers_in_keras(tmp_path: Path, mirrored: Any) -> None:
    """Gradients, and even the masks of each replica."""
    folder = saved_models.keras_module(tmp_path / "encoder", saved_models.keras_encoder())
    models, logs = [], []
    for build in (saved_models.keras_encoder, lambda: SavedModelLayer(folder, name="saved")):
        with mirrored.scope():
            model = id_classifier(build())
            rdrop = compiled(RDropModel(model, alpha=2.0))
        data = saved_models.ids(22)  # the last batch: 3 rows for each replica
        logs.append(rdrop.fit(*data, batch_size=8, shuffle=False, verbose=0).history)
        models.append(model)
    assert logs[0]["kl"][0] > 1e-3
    for key in ("loss", "ce", "kl"):
        np.testing.assert_allclose(logs[1][key], logs[0][key], rtol=1e-5)
    _take_means(models[0], mirrored)
    same_weights(models[1], models[0])


def _take_means(model: keras.Model, mirrored: Any) -> None:
    """Gives Keras' BatchNorm the mean over replicas; by itself it keeps the first one's."""
    for variable in model.get_layer("encoder").get_layer("norm").non_trainable_variables:
        replicas = [v.numpy() for v in mirrored.experimental_local_results(variable.value)]
        assert not np.array_equal(*replicas), "or this test need no longer do it"
        variable.assign(np.mean(replicas, axis=0))


def test_statistics_are_the_mean_of_two_replicas(tmp_path: Path, mirrored: Any) -> None:
    folder = saved_models.text_encoder(tmp_path / "text")
    with mirrored.scope():
        model = text_classifier(folder)
        # The replicas then meet inside a branch of the graph.
        rdrop = compiled(RDropModel(model, every=2))
    rdrop.fit(*strings(saved_models.texts(ROWS)), batch_size=ROWS, shuffle=False, verbose=0)
    (mean,) = model.get_layer("saved").non_trainable_variables
    for value in mirrored.experimental_local_results(mean.value):
        np.testing.assert_allclose(value.numpy(), 0.1 * mean_embedding(), rtol=1e-5)
