"""The trial of one call: what it finds, what it returns, and that it leaves no trace."""

import random
from collections.abc import Callable
from importlib import import_module
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from rdrop_tf._keras import get_mask, mask_to
from rdrop_tf.models.graphs import Call, nodes_of
from rdrop_tf.models.made_up import weights_like
from rdrop_tf.models.trial import trial
from tests.models import noisy

TENSORFLOW = pytest.mark.tensorflow


def array(x: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(x))


def data(dtype: str = "float32") -> Any:
    values = np.random.RandomState(0).uniform(0.5, 1.5, (4, 8))
    return ops.cast(ops.convert_to_tensor(values.astype("float32")), dtype)


def tried(layer: layers.Layer, x: Any = None) -> tuple[str | None, Any]:
    x = data() if x is None else x
    if not layer.built:
        layer.build(tuple(x.shape))
    takes_training = layer._call_has_training_arg
    return trial(layer, Call(layer, (x,), {"training": True} if takes_training else {}))


NOISE: dict[str, Callable[[], layers.Layer]] = {
    "seed generator": lambda: layers.Dropout(0.5),
    "global generator": noisy.GlobalNoise,
    "integer seed": noisy.FrozenNoise,
    "rare": lambda: noisy.DropPath(1e-9),
}


@pytest.mark.parametrize("name", NOISE)
def test_draws_are_noise_whether_they_show_or_not(name: str) -> None:
    assert tried(NOISE[name]())[0] == "draws noise"


@pytest.mark.parametrize("make", [noisy.NumpyNoise, noisy.Drifting])
def test_a_second_run_tells_where_nothing_is_drawn(make: Callable[[], layers.Layer]) -> None:
    assert tried(make())[0] == "gives other values in a second run"


@TENSORFLOW
def test_what_a_graph_of_tensorflow_gives_away_is_not_run() -> None:
    import tensorflow as tf

    class Assigning(layers.Layer):
        def build(self, shape: Any) -> None:
            self.count = tf.Variable(0.0)

        def call(self, x: Any) -> Any:
            self.count.assign_add(1.0)
            return x

    class InPython(layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.py_function(lambda y: y, [x], x.dtype)

    assigning = Assigning()
    assert tried(assigning) == ("assigns to a variable of TensorFlow", None)
    assert float(assigning.count) == 0.0
    assert tried(InPython()) == ("runs Python code in a TensorFlow graph", None)
    assert tried(noisy.RawNoise(1e-9)) == ("draws noise", None)


@TENSORFLOW
def test_strings_are_compared() -> None:
    import tensorflow as tf

    class Spelling(layers.Layer):
        def __init__(self, *words: str) -> None:
            super().__init__(dtype="string")
            self.words, self.runs = words, 0

        def call(self, x: Any) -> Any:
            self.runs += 1
            return tf.strings.join([x, self.words[self.runs % len(self.words)]])

    x = tf.constant(["a", "b"])
    reason, outputs = tried(Spelling("c"), x)
    assert reason is None
    assert array(outputs).tolist() == [b"ac", b"bc"]
    assert tried(Spelling("c", "d"), x)[0] == "gives other values in a second run"


def test_outputs_are_those_of_the_made_up_weights() -> None:
    layer = layers.Dense(3, kernel_initializer="zeros")
    reason, outputs = tried(layer)
    kernel, bias = (array(value).astype("float64") for _, value in weights_like(layer))
    assert reason is None
    np.testing.assert_allclose(array(outputs), array(data()) @ kernel + bias, rtol=1e-5)
    assert np.abs(array(outputs)).min() > 1e-3


def test_an_operation_that_is_no_layer() -> None:
    x = keras.Input((8,))
    (node,) = nodes_of(keras.Model(x, ops.square(x)))
    reason, outputs = trial(node.operation, Call(node.operation, (data(),), {}))
    assert reason is None
    np.testing.assert_allclose(array(outputs), array(data()) ** 2, rtol=1e-6)


class Moving(layers.Layer):
    """Each run is `by` larger than the last, relative to 1."""

    def __init__(self, by: float) -> None:
        super().__init__(dtype="float32", autocast=False)
        self.by, self.runs = by, 0

    def call(self, x: Any) -> Any:
        self.runs += 1
        moved = ops.cast(x, "float32") * (1.0 + self.by * self.runs)
        return {"same": x, "moved": ops.cast(moved, x.dtype)}


# Half of what is allowed for rounding, and twice.
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-5), ("float16", 1e-2), ("bfloat16", 5e-2)]
)
def test_rounding_is_no_noise(dtype: str, tolerance: float) -> None:
    assert tried(Moving(0.5 * tolerance), data(dtype))[0] is None
    assert tried(Moving(2 * tolerance), data(dtype))[0] == "gives other values in a second run"


def test_tolerance_is_relative_to_the_largest_value() -> None:
    for scale in (1e-6, 1.0, 1e6):
        assert tried(Moving(2e-5), data() * scale)[0] is not None
        assert tried(Moving(5e-6), data() * scale)[0] is None


class Counter(layers.Layer):
    """The number of runs, as integers or truth values that turn."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.runs = kind, 0

    def call(self, x: Any) -> Any:
        self.runs += 1
        ids = ops.zeros_like(x, dtype="int32") + 1_000_000 + self.runs
        return ids if self.kind == "int" else ids % 2 == 0


@pytest.mark.parametrize("kind", ["int", "bool"])
def test_integers_are_compared_exactly(kind: str) -> None:
    assert tried(Counter(kind))[0] == "gives other values in a second run"


class Constant(layers.Layer):
    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = values

    def call(self, x: Any) -> Any:
        return ops.convert_to_tensor(np.array(self.values, "float32"))


def test_values_that_are_not_finite_agree_if_they_are_the_same() -> None:
    assert tried(Constant(1.0, np.nan, np.inf, -np.inf))[0] is None
    for values in ((np.nan, np.nan), (np.inf, -np.inf)):
        with pytest.raises(ArithmeticError, match="made-up data give no finite value"):
            tried(Constant(*values))


class NotFiniteOnce(layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def call(self, x: Any) -> Any:
        self.runs += 1
        return x * np.array([1.0] * 7 + [np.nan if self.runs % 2 else 1.0], "float32")


def test_a_value_that_is_finite_only_once_is_noise() -> None:
    assert tried(NotFiniteOnce())[0] == "gives other values in a second run"


class TakesMask(layers.Layer):
    """Doubles masked inputs, and takes their mask away, as attention does."""

    def call(self, x: Any) -> Any:
        factor = 1.0 if get_mask(x) is None else 2.0
        mask_to(x, None)
        return x * factor


def test_each_run_gets_the_masks_and_the_first_says_what_is_left_of_them() -> None:
    x = data()
    mask_to(x, ops.ones((4,), "bool"))
    layer = TakesMask()
    # As a node calls it: Keras' own `__call__` would put the mask away first.
    reason, outputs = trial(layer, Call(layer.call, (x,), {}))
    assert reason is None
    np.testing.assert_array_equal(array(outputs), 2 * array(x))
    assert get_mask(x) is None


class Everything(layers.Layer):
    """Moves whatever can be moved, then raises if it is told to."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.fails, self.seeds = fails, keras.random.SeedGenerator(3)
        self.norm, self.dense = layers.BatchNormalization(), layers.Dense(8)
        self.steps = self.add_weight(shape=(), dtype="int32", initializer="ones", trainable=False)

    def build(self, shape: Any) -> None:
        self.norm.build(shape)
        self.dense.build(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        self.steps.assign_add(1)
        self.dense.kernel.assign(self.dense.kernel * 2.0)
        x = self.norm(self.dense(x), training=training)
        x = keras.random.dropout(keras.random.dropout(x, 0.5), 0.5, seed=self.seeds)
        self.add_loss(ops.sum(x))
        if self.fails:
            raise ArithmeticError("on purpose")
        return x


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_the_layer_and_of_keras_has_moved(fails: bool) -> None:
    layer = Everything(fails)
    layer.build((4, 8))
    keras.random.uniform(())  # makes the global generator
    generators = keras.src.random.seed_generator
    module = import_module(f"keras.src.backend.{keras.backend.backend()}.random")
    draw_seed = module.draw_seed

    def state() -> list[Any]:
        variables = [*layer.variables, generators.global_seed_generator().state]
        return [array(v.value).tolist() for v in variables] + [random.getstate()]

    before = state()
    assert len(before) == 10
    # JAX cannot trace the global generator, and what was heard by then is enough.
    if fails and keras.backend.backend() != "jax":
        with pytest.raises(ArithmeticError, match="on purpose"):
            tried(layer)
    else:
        assert tried(layer)[0] == "draws noise"
    assert state() == before
    assert module.draw_seed is draw_seed
    assert not keras.src.backend.common.stateless_scope.in_stateless_scope()
