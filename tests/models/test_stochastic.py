"""Every kind of noise is found, what draws none is not, and looking for it changes nothing."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from rdrop_tf.models.frontier import frontier_of
from rdrop_tf.models.graphs import leaves_of
from rdrop_tf.models.passes import run_passes
from rdrop_tf.models.stochastic import by_what_it_does, by_what_it_is
from tests.models import noisy

TENSORFLOW = pytest.mark.tensorflow


def augmentation(name: str, *args: Any) -> Callable[[], layers.Layer]:
    return lambda: getattr(layers, name)(*args)


LAYERS: dict[str, Callable[[], layers.Layer]] = {
    "Dropout": lambda: layers.Dropout(0.1),
    "AlphaDropout": lambda: layers.AlphaDropout(0.1),
    "GaussianDropout": lambda: layers.GaussianDropout(0.1),
    "GaussianNoise": lambda: layers.GaussianNoise(0.1),
    "global generator": noisy.GlobalNoise,
    "integer seed": noisy.FrozenNoise,
    "stochastic depth": noisy.DropPath,
    "noise times 0": noisy.HiddenNoise,
    "NumPy": noisy.NumpyNoise,
    "a state that moves": noisy.Drifting,
    "Lambda": lambda: layers.Lambda(lambda x: keras.random.dropout(x, 0.5), (8,)),
}
SEQUENCES: dict[str, Callable[[], layers.Layer]] = {
    "SpatialDropout1D": lambda: layers.SpatialDropout1D(0.1),
    "LSTM": lambda: layers.LSTM(4, dropout=0.1, return_sequences=True),
    "GRU": lambda: layers.GRU(4, recurrent_dropout=0.1, return_sequences=True),
    "Bidirectional": lambda: layers.Bidirectional(layers.SimpleRNN(4, dropout=0.1)),
}
IMAGES: dict[str, Callable[[], layers.Layer]] = {
    "SpatialDropout2D": augmentation("SpatialDropout2D", 0.1),
    "RandomFlip": augmentation("RandomFlip"),
    "RandomRotation": augmentation("RandomRotation", 0.1),
    "RandomTranslation": augmentation("RandomTranslation", 0.1, 0.1),
    "RandomContrast": augmentation("RandomContrast", 0.5),
}


def first_noise(model: keras.Model) -> list[str]:
    return [name for name, _ in frontier_of(model).stochastic]


def prefix_names(model: keras.Model) -> set[str]:
    prefix = frontier_of(model).prefix
    return {name for key, name, _ in leaves_of(model) if key in prefix}


@pytest.mark.parametrize("name", LAYERS)
def test_noise_is_found(name: str) -> None:
    layer = LAYERS[name]()
    model = noisy.with_layer(layer)
    assert first_noise(model) == [layer.name]
    assert prefix_names(model) == {"before"}


@pytest.mark.one_backend
@pytest.mark.parametrize("name", SEQUENCES)
def test_noise_of_sequences_is_found(name: str) -> None:
    layer = SEQUENCES[name]()
    assert first_noise(noisy.with_layer(layer, (5, 4))) == [layer.name]


@pytest.mark.one_backend
@pytest.mark.parametrize("name", IMAGES)
def test_augmentation_is_found(name: str) -> None:
    layer = IMAGES[name]()
    assert first_noise(noisy.with_layer(layer, (8, 8, 3))) == [layer.name]


@TENSORFLOW
@pytest.mark.parametrize("rate", [0.5, 0.001])
def test_operations_of_tensorflow_are_found_however_rarely_they_show(rate: float) -> None:
    model = noisy.with_layer(noisy.RawNoise(rate))
    assert frontier_of(model).stochastic == ((model.layers[2].name, "draws noise"),)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="operations of JAX")
def test_operations_of_jax_are_found_however_rarely_they_show() -> None:
    layer = noisy.RareNoiseOfJax()
    model = noisy.with_layer(layer)
    assert frontier_of(model).stochastic == ((layer.name, "draws noise"),)


def test_attention_dropout_is_found() -> None:
    x = keras.Input((5, 8))
    h = noisy.Counting(8, name="before")(x)
    h = layers.MultiHeadAttention(2, 4, dropout=0.1, name="attention")(h, h)
    assert first_noise(keras.Model(x, h)) == ["attention"]


@TENSORFLOW
def test_a_saved_model_that_draws_is_found(tmp_path: Path) -> None:
    import tensorflow as tf

    from rdrop_tf.layers import SavedModelLayer

    class Encoder(tf.Module):
        def __init__(self, rate: float) -> None:
            super().__init__()
            self.kernel, self.rate = tf.Variable(tf.eye(8)), rate

        @tf.function
        def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
            y = x @ self.kernel
            return tf.nn.dropout(y, self.rate) if training and self.rate else y

    for rate in (0.1, 0.0):
        encoder, folder = Encoder(rate), str(tmp_path / str(rate))
        for training in (False, True):
            encoder.__call__.get_concrete_function(tf.TensorSpec((None, 8)), training)
        tf.saved_model.save(encoder, folder)
        layer = SavedModelLayer(folder, deterministic=rate == 0.0, name="encoder")
        model = noisy.with_layer(layer)
        assert first_noise(model) == (["encoder"] if rate else [])


QUIET: dict[str, tuple[Callable[[], layers.Layer], tuple[int, ...]]] = {
    "Dropout(0)": (lambda: layers.Dropout(0.0), (8,)),
    "BatchNormalization": (layers.BatchNormalization, (8,)),
    "LSTM without dropout": (lambda: layers.LSTM(4), (5, 4)),
    "a length that is not known": (lambda: layers.LSTM(4), (None, 4)),
    "attention": (lambda: layers.Bidirectional(layers.GRU(4)), (5, 4)),
    "convolution": (lambda: layers.Conv2D(4, 3), (8, 8, 3)),
    "an image of unknown size": (lambda: layers.Conv2D(4, 20), (None, None, 3)),
    "Lambda": (lambda: layers.Lambda(lambda x: x * 2, (8,)), (8,)),
}


@pytest.mark.one_backend
@pytest.mark.parametrize("name", QUIET)
def test_what_draws_nothing_is_in_the_prefix(name: str) -> None:
    make, shape = QUIET[name]
    layer = make()
    model = noisy.with_layer(layer, shape)
    assert first_noise(model) == []
    assert layer.name in prefix_names(model)


@pytest.mark.one_backend
def test_ids_masks_and_positions_are_made_up_so_that_layers_take_them() -> None:
    ids, mask = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="bool")
    h = layers.Embedding(3, 4)(ids) * ops.expand_dims(ops.cast(mask, "float32"), -1)
    h = h + layers.Embedding(10, 4)(ops.cumsum(ops.ones_like(ids), axis=1) - 1)
    model = keras.Model([ids, mask], layers.Dense(3)(layers.Dropout(0.1, name="drop")(h)))
    assert first_noise(model) == ["drop"]


def test_a_node_that_cannot_be_run_is_run_once_a_pass() -> None:
    class Picky(layers.Layer):
        def call(self, x: Any) -> Any:
            if float(ops.max(x)) < 100.0:
                raise ArithmeticError("numbers that are large, please")
            return x

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

        def compute_output_spec(self, x: Any) -> Any:
            return keras.KerasTensor(x.shape, x.dtype)

    x = keras.Input((8,))
    model = keras.Model(x, layers.Dense(3)(Picky(name="picky")(x)))
    ((name, reason),) = frontier_of(model).stochastic
    assert (name, reason.split(":")[0]) == ("picky", "could not be run on made-up data")


def node_of(layer: layers.Layer, shape: tuple[int, ...]) -> Any:
    return [node for _, _, node in leaves_of(noisy.with_layer(layer, shape))][1]


@pytest.mark.parametrize("name", ["Dropout", "GaussianNoise"])
def test_layers_with_a_seed_generator_are_known_before_they_run(name: str) -> None:
    assert by_what_it_is(node_of(LAYERS[name](), (8,))) == "keeps a seed generator"


@pytest.mark.one_backend
def test_recurrent_layers_keep_a_generator_that_they_may_never_use() -> None:
    for rates, reason in (((0.0, 0.0), None), ((0.0, 0.1), "keeps a seed generator")):
        layer = layers.LSTM(4, dropout=rates[0], recurrent_dropout=rates[1])
        assert any(inner._seed_generators for inner in layer._flatten_layers())
        assert by_what_it_is(node_of(layer, (5, 4))) == reason


def test_what_no_layer_tells_is_found_by_running_it() -> None:
    hidden = noisy.DropPath()
    model = noisy.with_layer(hidden)
    assert by_what_it_is(node_of(noisy.DropPath(), (8,))) is None
    assert first_noise(model) == [hidden.name]


def test_looking_changes_nothing() -> None:
    """No weight, statistic, seed, counter or loss, nor the noise of Python and NumPy."""
    x = keras.Input((8,))
    h = layers.Dense(8, activity_regularizer="l2")(x)
    h = layers.BatchNormalization()(h)
    h = noisy.HiddenNoise()(noisy.Drifting()(noisy.DropPath()(h)))
    model = keras.Model(x, layers.Dropout(0.5, seed=1)(h))
    model(np.ones((2, 8), "float32"), training=True)

    def everything() -> list[Any]:
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        losses = [float(loss) for loss in model.losses]
        values = [ops.convert_to_numpy(v).tolist() for v in variables]
        noise = [random.getstate(), np.random.get_state()[1].tolist()]
        return [values, losses, noise, float(keras.random.uniform((), seed=3))]

    before = everything()
    keys = [key for key, _, _ in leaves_of(model)]
    assert len(by_what_it_does(model, keys)) >= 3
    assert everything() == before


@TENSORFLOW
def test_looking_while_a_step_is_traced() -> None:
    import tensorflow as tf

    model = noisy.nested(0.4)

    @tf.function(autograph=False)
    def step(x: tf.Tensor) -> Any:
        return run_passes(model, [x, x], "shared_prefix").predictions

    first, second = step(np.random.RandomState(0).randn(4, 8).astype("float32"))
    assert np.abs(first - second).max() > 1e-3
    (name,) = first_noise(model)
    assert name.startswith("outer/inner/dropout")


@pytest.mark.one_backend
def test_what_was_found_is_remembered_until_layers_are_frozen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rdrop_tf.models import frontier

    looked = []
    monkeypatch.setattr(
        frontier, "by_what_it_does", lambda *args: looked.append(1) or by_what_it_does(*args)
    )
    model = noisy.chain(0.4)
    assert frontier_of(model) is frontier_of(model)
    model.layers[1].trainable = False
    frontier_of(model)
    assert len(looked) == 2
