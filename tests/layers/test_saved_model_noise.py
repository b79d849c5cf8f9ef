"""Every call of a SavedModel draws noise of its own, wherever it draws it from."""

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from rdrop_tf import RDropModel
from rdrop_tf.layers import SavedModelLayer
from rdrop_tf.models import RDropWarning
from tests.layers import saved_models
from tests.layers.test_saved_model import compiled

pytestmark = pytest.mark.tensorflow

ONES = np.ones((8, 500), "float32")


def noisy(folder: Path, source: str, **options: Any) -> SavedModelLayer:
    return SavedModelLayer(saved_models.noise(folder, source), name="saved", **options)


def agreement(a: Any, b: Any) -> float:
    """How often two masks are equal: 1/2 by chance."""
    return float(np.mean((np.asarray(a) > 0) == (np.asarray(b) > 0)))


@pytest.mark.parametrize("source", saved_models.SOURCES)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_two_calls_in_one_graph_draw_different_masks(
    tmp_path: Path, source: str, jit_compile: bool
) -> None:
    import tensorflow as tf

    layer = noisy(tmp_path / "noise", source)

    @tf.function(jit_compile=jit_compile)
    def two(x: Any) -> Any:
        return layer(x, training=True), layer(x, training=True)

    masks = [mask for _ in range(2) for mask in two(ONES)]
    for a in range(4):
        assert 0.45 < np.mean(np.asarray(masks[a]) > 0) < 0.55
        for b in range(a):
            assert 0.45 < agreement(masks[a], masks[b]) < 0.55, "equal by chance only"


@pytest.mark.parametrize("source", saved_models.SOURCES)
def test_the_halves_of_one_call_draw_different_masks(tmp_path: Path, source: str) -> None:
    mask = noisy(tmp_path / "noise", source)(np.concatenate([ONES, ONES]), training=True)
    assert 0.45 < agreement(mask[:8], mask[8:]) < 0.55


@pytest.mark.parametrize("training", [False, None])
def test_inference_draws_nothing(tmp_path: Path, training: bool | None) -> None:
    layer = noisy(tmp_path / "noise", "unseeded")
    np.testing.assert_array_equal(layer(ONES, training=training), ONES)


def test_a_frozen_layer_draws_nothing(tmp_path: Path) -> None:
    layer = noisy(tmp_path / "noise", "unseeded", trainable=False)
    np.testing.assert_array_equal(layer(ONES, training=True), ONES)
    assert not layer.draws_noise


@pytest.mark.parametrize("source", saved_models.SOURCES)
def test_replicas_draw_different_masks(tmp_path: Path, source: str, mirrored: Any) -> None:
    import tensorflow as tf

    with mirrored.scope():
        layer = noisy(tmp_path / "noise", source)

    @tf.function
    def step() -> Any:
        return mirrored.run(lambda: (layer(ONES, training=True), layer(ONES, training=True)))

    masks = []
    for _ in range(2):
        for value in step():
            masks += mirrored.experimental_local_results(value)
    assert len(masks) == 8, "2 steps, 2 passes, 2 replicas"
    for a in range(8):
        for b in range(a):
            assert 0.45 < agreement(masks[a], masks[b]) < 0.55, "equal by chance only"


def test_the_state_of_a_generator_stays_the_same_on_all_replicas(
    tmp_path: Path, mirrored: Any
) -> None:
    with mirrored.scope():
        layer = noisy(tmp_path / "noise", "generator")
    before = np.array(layer.non_trainable_variables[0])
    mirrored.run(lambda: layer(ONES, training=True))
    first, second = mirrored.experimental_local_results(layer.non_trainable_variables[0].value)
    np.testing.assert_array_equal(first.numpy(), second.numpy())
    assert before[-1] == first.numpy()[-1], "the key is the generator's own again"
    assert np.any(before != first.numpy()), "the counter has moved on"


# What RDropModel says of it


def texts(layer: SavedModelLayer, head: str = "glorot_uniform") -> tuple[list[str], float]:
    """Trains for an epoch; returns the warnings and the divergence."""
    x, y = saved_models.features()
    dense = layers.Dense(saved_models.CLASSES, kernel_initializer=head)
    model = keras.Sequential([keras.Input((saved_models.WIDTH,)), layer, dense])
    rdrop = RDropModel(model)
    compiled(rdrop)
    rdrop.optimizer.learning_rate = 0.0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        logs = rdrop.fit(x, y, batch_size=8, verbose=0).history
    return [str(w.message) for w in caught if issubclass(w.category, RDropWarning)], logs["kl"][0]


def test_no_warning_for_a_model_whose_only_noise_is_the_saved_models(tmp_path: Path) -> None:
    said, divergence = texts(noisy(tmp_path / "noise", "global seed"))
    assert said == []
    assert divergence > 1e-3


def test_noise_that_does_not_reach_the_outputs_is_told_from_no_noise(tmp_path: Path) -> None:
    (said,), divergence = texts(noisy(tmp_path / "noise", "unseeded"), head="zeros")
    assert said.startswith("KL stayed exactly 0 for the first 3 steps although 'saved' draws noise")
    assert divergence == 0


def test_a_saved_model_with_a_rate_of_zero_is_no_noise(tmp_path: Path) -> None:
    folder = saved_models.noise(tmp_path / "noise", rate=0.0)
    layer = SavedModelLayer(folder)
    assert not layer.draws_noise
    (said,), _ = texts(layer)
    assert said.startswith("No noise: ")
