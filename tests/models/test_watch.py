"""The three warnings fire when they should, and only then."""

import warnings
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from rdrop_tf import RDropModel
from rdrop_tf.models import RDropWarning
from tests.models import zoo


class IntegerSeed(layers.Layer):
    """Draws the same mask at every call."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return keras.random.dropout(inputs, 0.5, seed=7) if training else inputs


class GlobalSeed(layers.Layer):
    """Draws from Keras' global generator: new noise, and no generator of its own."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return keras.random.dropout(inputs, 0.5) if training else inputs


class RawNoise(layers.Layer):
    """Draws from TensorFlow itself, where nothing of Keras listens."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        import tensorflow as tf

        return inputs + tf.random.normal(tf.shape(inputs)) if training else inputs


def with_layer(*noise: layers.Layer, head: str = "glorot_uniform") -> keras.Model:
    dense = layers.Dense(zoo.CLASSES, kernel_initializer=head)
    return keras.Sequential([layers.Dense(16, "relu"), *noise, dense], name="mine")


def texts(model: keras.Model, batch_size: int = 8, **options: Any) -> list[str]:
    rdrop = RDropModel(model, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rdrop.compile(keras.optimizers.SGD(0.0), loss)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rdrop.fit(*zoo.features(), batch_size=batch_size, epochs=2, verbose=0)
    return [str(w.message) for w in caught if issubclass(w.category, RDropWarning)]


def test_a_model_without_dropout() -> None:
    (text,) = texts(with_layer(layers.Dropout(0.0)))
    assert text.startswith("No noise: the model 'mine' has no active dropout")


def test_a_layer_with_an_integer_seed() -> None:
    (text,) = texts(with_layer(IntegerSeed(name="stuck")))
    assert text.startswith("Frozen noise: 'stuck' draws from an integer seed")


def test_a_layer_with_an_integer_seed_beside_dropout() -> None:
    (text,) = texts(with_layer(IntegerSeed(name="stuck"), layers.Dropout(0.2)))
    assert text.startswith("Frozen noise: 'stuck'")


def test_a_divergence_that_stays_zero() -> None:
    """The learning rate is 0, so a head of zeros never sees the noise."""
    (text,) = texts(with_layer(layers.Dropout(0.5, name="drop"), head="zeros"), batch_size=2)
    assert text.startswith("KL stayed exactly 0 for the first 10 steps although 'drop' draws noise")


def test_a_short_training_is_judged_at_its_end() -> None:
    (text,) = texts(with_layer(layers.Dropout(0.5), head="zeros"))
    assert text.startswith("KL stayed exactly 0 for the first 5 steps")


@pytest.mark.parametrize(
    "noise",
    [
        [layers.Dropout(0.1)],
        [layers.Dropout(0.1, seed=1)],
        [layers.GaussianNoise(0.1)],
        [layers.Dropout(0.0), layers.Dropout(0.5)],
    ],
)
def test_silence_with_noise(noise: list[layers.Layer]) -> None:
    copies = [type(layer).from_config(layer.get_config()) for layer in noise]
    assert texts(with_layer(*copies)) == []


def test_silence_with_turns_and_with_alpha_zero() -> None:
    assert texts(with_layer(layers.Dropout(0.1)), every=4) == []
    assert texts(with_layer(), alpha=0.0) == []


@pytest.mark.tensorflow
@pytest.mark.parametrize("layer", [GlobalSeed, RawNoise])
def test_silence_with_noise_from_elsewhere(layer: type[layers.Layer]) -> None:
    assert texts(with_layer(layer())) == []


def test_initial_weights_are_no_noise() -> None:
    """A model that is built in its first step draws weights there, from integer seeds."""
    (text,) = texts(with_layer())
    assert text.startswith("No noise")


def test_listening_leaves_keras_as_it_was() -> None:
    from importlib import import_module

    module = import_module(f"keras.src.backend.{keras.backend.backend()}.random")
    before = module.draw_seed
    texts(with_layer(layers.Dropout(0.1)))
    with pytest.raises(ValueError, match="compile"):
        RDropModel(zoo.functional(0.1)).fit(np.ones((2, 8)), np.ones(2))
    assert module.draw_seed is before
