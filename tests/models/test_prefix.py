"""The shared prefix: the numbers of two calls, with the prefix run once."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from rdrop_tf import RDropModel
from rdrop_tf.models.frontier import frontier_of
from rdrop_tf.models.graphs import leaves_of
from rdrop_tf.models.passes import run_passes
from tests.models import noisy, zoo

BACKEND = keras.backend.backend()
SEEDED = pytest.mark.skipif(BACKEND == "torch", reason="Keras' dropout is not seeded on Torch")


def inputs_of(model_name: str) -> Any:
    draw = zoo.rng()
    if model_name == "masks":
        return zoo.tokens()[0]
    if model_name == "several":
        return {"a": draw.randn(40, 8).astype("float32"), "b": draw.randn(40, 1).astype("float32")}
    shape = {"images": (8, 8, 3), "shared layer": (16,)}.get(model_name, (8,))
    return draw.randn(40, *shape).astype("float32")


def labels_of(model_name: str) -> Any:
    if model_name == "masks":
        return zoo.tokens()[1]
    y = zoo.features()[1]
    return {"kind": y, "size": y[:, None].astype("float32")} if model_name == "several" else y


def trained(
    build: Callable[[float], keras.Model],
    name: str,
    forward: str,
    epochs: int = 1,
    passes: int = 2,
    **options: Any,
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Trains; eagerly unless told otherwise: a step is traced longer than these few take."""
    if not options and keras.backend.backend() == "tensorflow":
        options = {"run_eagerly": True}
    keras.utils.set_random_seed(11)
    model = build(0.4)
    rdrop = RDropModel(model, alpha=3.0, forward=forward, passes=passes)
    loss = zoo.two_losses() if name == "several" else zoo.CASES["functional"].loss()
    rdrop.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, **options)
    x, y = inputs_of(name), labels_of(name)
    logs = rdrop.fit(x, y, batch_size=8, shuffle=False, verbose=0, epochs=epochs).history
    return model, logs


def calls_of(model: keras.Model, name: str) -> int:
    return sum(layer.calls for layer in model._flatten_layers() if layer.name == name)


@SEEDED
@pytest.mark.parametrize("passes", [2, 3])
@pytest.mark.parametrize("name", noisy.PREFIXED)
def test_every_pass_is_that_of_separate_calls_bit_for_bit(name: str, passes: int) -> None:
    """Predictions, masks of the noise, added losses, and all state after it."""
    found: list[Any] = []
    for forward in ("two_calls", "shared_prefix"):
        keras.utils.set_random_seed(11)
        model, x = noisy.PREFIXED[name](0.4), inputs_of(name)
        x = keras.tree.map_structure(ops.convert_to_tensor, x)
        made = run_passes(model, [x] * passes, forward)
        state = [ops.convert_to_numpy(v) for v in model.non_trainable_variables]
        leaves = [ops.convert_to_numpy(leaf) for leaf in keras.tree.flatten(made.predictions)]
        added = None if made.added_loss is None else float(made.added_loss)
        found.append((leaves, state, added))
    for one, other in zip(found[0][0] + found[0][1], found[1][0] + found[1][1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert found[0][2] == found[1][2]
    per_pass = len(found[0][0]) // passes
    assert np.abs(found[1][0][0] - found[1][0][per_pass]).max() > 1e-3, "passes must differ"


@SEEDED
@pytest.mark.parametrize("name", ["chain", "shared layer", "masks", "nested", "several"])
def test_training_is_that_of_two_calls(name: str) -> None:
    """Gradients of the prefix are added before they are taken back: rounded apart."""
    two, two_logs = trained(noisy.PREFIXED[name], name, "two_calls")
    shared, logs = trained(noisy.PREFIXED[name], name, "shared_prefix")
    assert zoo.largest_difference(two, shared) <= 1e-6
    for key in ("loss", "ce", "kl"):
        assert logs[key][0] == pytest.approx(two_logs[key][0], rel=2e-6)
    assert logs["kl"][0] > 1e-7


@pytest.mark.parametrize(
    ("name", "once"), [("chain", 1), ("sequential", 1), ("branches", 1), ("nested", 1)]
)
def test_the_prefix_runs_once_and_the_rest_once_a_pass(name: str, once: int) -> None:
    model = noisy.PREFIXED[name](0.4)
    x = ops.convert_to_tensor(inputs_of(name))
    run_passes(model, [x] * 3, "shared_prefix")  # finds the frontier
    for layer in model._flatten_layers():
        if isinstance(layer, noisy.Counting):
            layer.calls = 0
    run_passes(model, [x] * 3, "shared_prefix")
    assert calls_of(model, "before") == once
    assert calls_of(model, "after") == 3


@SEEDED
@pytest.mark.parametrize("name", ["nested"])
def test_compiled_by_xla(name: str) -> None:
    two, _ = trained(noisy.PREFIXED[name], name, "two_calls", jit_compile=True)
    shared, logs = trained(noisy.PREFIXED[name], name, "shared_prefix", jit_compile=True)
    assert zoo.largest_difference(two, shared) <= 1e-6
    assert logs["kl"][0] > 1e-7


@SEEDED
def test_half_precision() -> None:
    two, _ = trained(noisy.half, "chain", "two_calls")
    shared, logs = trained(noisy.half, "chain", "shared_prefix")
    assert zoo.largest_difference(two, shared) <= 5e-3, "gradients in bfloat16"
    assert logs["kl"][0] > 1e-5


@SEEDED
def test_gradients_of_the_prefix_are_those_of_two_calls() -> None:
    """One step of plain gradient descent with rate 1: the weights' move is the gradient."""
    moves = []
    for forward in ("two_calls", "shared_prefix"):
        keras.utils.set_random_seed(11)
        model = noisy.chain(0.4)
        before = model.get_weights()
        rdrop = RDropModel(model, alpha=3.0, forward=forward)
        rdrop.compile(keras.optimizers.SGD(1.0), zoo.CASES["functional"].loss())
        rdrop.train_on_batch(*zoo.features())
        moves.append([a - b for a, b in zip(before, model.get_weights(), strict=True)])
    for two, shared in zip(*moves, strict=True):
        np.testing.assert_allclose(shared, two, atol=1e-6, rtol=0)
    assert max(np.abs(m).max() for m in moves[0]) > 1e-2


def test_a_model_without_noise_is_run_once() -> None:
    model = noisy.chain(0.0)
    x = ops.convert_to_tensor(inputs_of("chain"))
    run_passes(model, [x] * 2, "shared_prefix")
    noisy_calls = calls_of(model, "after")
    run_passes(model, [x] * 2, "shared_prefix")
    assert calls_of(model, "after") == noisy_calls + 1


def test_a_layer_that_runs_a_model_inside_is_left_alone() -> None:
    """The same model as a node of the graph and inside a layer's own call."""
    y = keras.Input((8,))
    inner = keras.Model(y, keras.layers.Dropout(0.5, seed=1)(keras.layers.Dense(8)(y)))

    class Inside(keras.layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            return inner(x, training=training)

    x = keras.Input((8,))
    model = keras.Model(x, keras.layers.Dense(3)(Inside()(inner(x))))
    data = ops.convert_to_tensor(inputs_of("chain"))
    first, second = run_passes(model, [data] * 2, "shared_prefix").predictions
    assert np.abs(ops.convert_to_numpy(first - second)).max() > 1e-3


def test_graphs_are_run_by_keras_again_afterwards() -> None:
    from rdrop_tf._keras import Functional

    trained(noisy.chain, "chain", "shared_prefix")
    assert "_run_through_graph" not in vars(Functional)


@pytest.mark.one_backend
@pytest.mark.parametrize("nested", [False, True])
def test_noise_that_only_the_step_shows_ends_the_prefix(nested: bool) -> None:
    """Made-up data had 8 positions, at which the layer draws nothing."""

    def build() -> keras.Model:
        x = keras.Input((None, 4))
        h = layers.Dense(4, "tanh", name="before")(x)
        h = noisy.NoiseOfLongSequences(name="noise")(h)
        h = layers.Dense(4, "tanh", name="behind")(h)
        h = keras.Model(x, h, name="inner")(x) if nested else h
        return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(h)))

    data = np.random.default_rng(0).normal(size=(16, 20, 4)).astype("float32")
    trained_models, logs = [], []
    for forward in ("two_calls", "shared_prefix"):
        keras.utils.set_random_seed(11)
        model = build()
        rdrop = RDropModel(model, alpha=3.0, forward=forward)
        if forward == "shared_prefix":
            assert frontier_of(model).stochastic == ()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rdrop.compile(keras.optimizers.SGD(0.05), loss, run_eagerly=BACKEND == "tensorflow")
        fitted = rdrop.fit(data, np.arange(16) % 3, batch_size=8, shuffle=False, verbose=0)
        trained_models.append(model)
        logs.append(fitted.history)
    assert zoo.largest_difference(*trained_models) <= 1e-6
    assert logs[0]["kl"][0] == pytest.approx(logs[1]["kl"][0], rel=1e-5)
    assert logs[0]["kl"][0] > 1e-7
    # It is known from now on.
    name = "inner/noise" if nested else "noise"
    assert frontier_of(model).stochastic == ((name, "draws noise in a training step"),)
    assert ("inner/before" if nested else "before") in {
        known for key, known, _ in leaves_of(model) if key in frontier_of(model).prefix
    }


@pytest.mark.tensorflow
def test_under_a_strategy(mirrored: Any) -> None:
    logs, models = [], []
    for forward in ("two_calls", "shared_prefix"):
        with mirrored.scope():
            keras.utils.set_random_seed(11)
            models.append(noisy.nested(0.4))
            rdrop = RDropModel(models[-1], alpha=3.0, forward=forward)
            rdrop.compile(keras.optimizers.SGD(0.05), zoo.CASES["functional"].loss())
            rdrop.describe()
        data = zoo.features()
        logs.append(rdrop.fit(*data, batch_size=16, shuffle=False, verbose=0).history)
    assert zoo.largest_difference(*models) <= 1e-6
    assert logs[0]["kl"][0] == pytest.approx(logs[1]["kl"][0], rel=1e-5)
    assert logs[0]["kl"][0] > 1e-7
