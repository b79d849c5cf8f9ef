"""Which models have a graph, what its nodes are called, and the visits to them."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from rdrop_tf import RDropModel
from rdrop_tf._keras import Functional
from rdrop_tf.models.graphs import (
    Call,
    Visitor,
    graph_of,
    leaves_of,
    nodes_of,
    opened,
    why_no_graph,
    wrapped,
)
from tests.models import zoo

pytestmark = pytest.mark.one_backend


def functional(kind: type[keras.Model] = keras.Model) -> keras.Model:
    x = keras.Input((8,))
    return kind(x, layers.Dense(8, name="dense")(x), name="net")


def sequential(kind: type[keras.Model] = keras.Sequential) -> keras.Model:
    return kind([keras.Input((8,)), layers.Dense(8, name="dense")], name="net")


class OwnCall(keras.Model):
    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return super().call(inputs, training=training) + 1.0


class OwnDunder(keras.Model):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(*args, **kwargs) + 1.0


class OwnSequential(keras.Sequential):
    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return super().call(inputs, training=training) + 1.0


class OwnMethods(keras.Model):
    def predict_twice(self, x: Any) -> Any:
        return 2 * self.predict(x)


def with_a_call_of_one_instance() -> keras.Model:
    model = functional()
    model.call = lambda inputs, training=None, mask=None: inputs
    return model


def of_nested_inputs() -> keras.Model:
    model = keras.Sequential([layers.Add(), layers.Dense(3)], name="net")
    model((ops.ones((4, 8)), ops.ones((4, 8))))
    return model


SUBCLASSED = (
    "'net' is a subclassed model (Subclassed), and Keras keeps no graph of what its `call` does"
)
OF_ITS_OWN = (
    "the class of 'net' ({}) has a `call` of its own, which may do more than the graph says"
)
WHY: dict[str, tuple[Callable[[], keras.Model], str | None]] = {
    "functional": (functional, None),
    "functional with other methods": (lambda: functional(OwnMethods), None),
    "built sequential": (sequential, None),
    "subclassed": (lambda: zoo.Subclassed(0.3, name="net"), SUBCLASSED),
    "functional with a call": (lambda: functional(OwnCall), OF_ITS_OWN.format("OwnCall")),
    "functional with __call__": (lambda: functional(OwnDunder), OF_ITS_OWN.format("OwnDunder")),
    "sequential with a call": (
        lambda: sequential(OwnSequential),
        OF_ITS_OWN.format("OwnSequential"),
    ),
    "a call of one instance": (with_a_call_of_one_instance, OF_ITS_OWN.format("Functional")),
    "unbuilt sequential": (
        lambda: keras.Sequential([layers.Dense(3)], name="net"),
        "'net' is not built, so its graph is not known yet",
    ),
    "nested inputs": (
        of_nested_inputs,
        "Keras made no graph for the layers of 'net' (nested inputs, for one)",
    ),
}


@pytest.mark.parametrize("name", WHY)
def test_why_there_is_no_graph(name: str) -> None:
    build, why = WHY[name]
    model = build()
    assert why_no_graph(model) == why
    assert (graph_of(model) is None) == (why is not None)
    assert (opened(model) is None) == (why is not None)


def test_the_graph_is_that_of_the_model_itself() -> None:
    model, layered = functional(), sequential()
    assert graph_of(model) is model
    assert graph_of(layered) is layered._functional
    rdrop = RDropModel(model)
    assert wrapped(rdrop) is wrapped(model) is graph_of(rdrop) is model


def test_a_sequential_model_has_its_graph_once_it_is_built() -> None:
    model = keras.Sequential([layers.Dense(3, name="a"), layers.ReLU(name="b")])
    assert graph_of(model) is None
    model.build((None, 8))
    assert [name for _, name, _ in leaves_of(graph_of(model))] == ["a", "b"]


def test_layers_and_operations_are_closed() -> None:
    dense = layers.Dense(3)
    assert opened(dense) is None
    (node,) = nodes_of(keras.Model(x := keras.Input((8,)), ops.tanh(x)))
    assert opened(node.operation) is None


def test_rematerialized_models_are_closed() -> None:
    with keras.RematScope(mode="full"):
        model = functional()
    assert graph_of(model) is model
    assert opened(model) is None


def test_quantized_models_are_closed() -> None:
    model = functional()
    assert opened(model) is model
    with pytest.warns(UserWarning, match="InputLayer does not have a `quantize` method"):
        model.dtype_policy = keras.dtype_policies.get("int8_from_float32")
    assert model.quantization_mode == "int8"
    assert opened(model) is None


class Noting(layers.Layer):
    """Notes when it runs, in a list that all share."""

    order: list[str] = []  # noqa: RUF012

    def call(self, *xs: Any) -> Any:
        self.order.append(self.name)
        return sum(xs[1:], xs[0])


def test_nodes_are_in_the_order_in_which_keras_runs_them() -> None:
    """Not the order in which they were made: side paths wait for the longest one."""
    x = keras.Input((8,))
    side = Noting(name="side")(x)
    a = Noting(name="a")(x)
    last = Noting(name="last")
    b = Noting(name="b")(a)
    early = Noting(name="early")(b)
    model = keras.Model(x, last(last(early, side), a))
    Noting.order.clear()
    model(ops.ones((2, 8)))
    names = [node.operation.name for node in nodes_of(model)]
    assert names == Noting.order
    assert names != ["side", "a", "b", "early", "last", "last"]


def nested() -> keras.Model:
    """One model three deep, called twice; a subclassed one, which stays closed."""
    w = keras.Input((8,))
    core = keras.Model(w, layers.ReLU(name="relu")(layers.Dense(8, name="dense")(w)), name="core")
    middle = keras.Sequential(
        [keras.Input((8,)), layers.Dropout(0.5, seed=1, name="drop"), core], name="middle"
    )
    x = keras.Input((8,))
    h = middle(layers.Dense(8, name="first")(x))
    h = core(h)
    h = zoo.Subclassed(0.0, name="closed")(h)
    return keras.Model(x, h)


LEAVES = [
    ((0,), "first"),
    ((1, 0), "middle/drop"),
    ((1, 1, 0), "middle/core/dense"),
    ((1, 1, 1), "middle/core/relu"),
    ((2, 0), "core/dense"),
    ((2, 1), "core/relu"),
    ((3,), "closed"),
]
NESTED = [(1,), (1, 1), (2,)]


def test_leaves_of_nested_models_have_their_place_and_their_path() -> None:
    found = [(key, name) for key, name, _ in leaves_of(nested())]
    assert found == LEAVES
    below = [(key, name) for key, name, _ in leaves_of(nested(), (7,), "at/")]
    assert below == [((7, *key), f"at/{name}") for key, name in LEAVES]


class Recording(Visitor):
    def __init__(self, graph: Any) -> None:
        super().__init__(graph)
        self.visited: list[tuple[Any, str]] = []
        self.entered: list[Any] = []
        self.calls: dict[Any, Call] = {}

    def visit(self, key: Any, node: Any, call: Call) -> Any:
        self.visited.append((key, node.operation.name))
        self.calls[key] = call
        return super().visit(key, node, call)

    def enter(self, key: Any, node: Any, call: Call) -> Any:
        self.entered.append(key)
        return super().enter(key, node, call)


def data() -> Any:
    return ops.convert_to_tensor(zoo.rng().randn(4, 8).astype("float32"))


def test_a_visitor_sees_every_node_once_and_changes_nothing() -> None:
    model, x = nested(), data()
    expected = ops.convert_to_numpy(model(x))
    visitor = Recording(graph_of(model))
    with visitor.watching():
        outputs = model(x, training=False)
    np.testing.assert_array_equal(ops.convert_to_numpy(outputs), expected)
    assert visitor.visited == [(key, name.split("/")[-1]) for key, name in LEAVES]
    assert visitor.entered == NESTED


@pytest.mark.parametrize("training", [True, False])
def test_nodes_are_called_as_keras_calls_them(training: bool) -> None:
    """Also where the graph was made with another `training`: that of the model's call counts."""

    class Mode(layers.Layer):
        given: Any = None

        def call(self, x: Any, training: Any = None) -> Any:
            self.given = training
            return x

    y, mode = keras.Input((8,)), Mode()
    inner = keras.Model(y, mode(y, training=not training))
    x = keras.Input((8,))
    model = keras.Model(x, inner(layers.Dense(8)(x)))
    visitor = Recording(graph_of(model))
    with visitor.watching():
        model(data(), training=training)
    assert mode.given is training
    (given,) = visitor.calls[0,].tensors
    np.testing.assert_array_equal(ops.convert_to_numpy(given), ops.convert_to_numpy(data()))


def test_what_a_visit_returns_is_what_the_next_node_gets() -> None:
    class Zeros(Visitor):
        def visit(self, key: Any, node: Any, call: Call) -> Any:
            return ops.zeros((4, 8)) if key == (2, 1) else call.run()

    model, x = nested(), data()
    with Zeros(graph_of(model)).watching():
        outputs = model(x)
    closed = model.get_layer("closed")(ops.zeros((4, 8)))
    np.testing.assert_array_equal(ops.convert_to_numpy(outputs), ops.convert_to_numpy(closed))
    assert np.abs(ops.convert_to_numpy(outputs) - ops.convert_to_numpy(model(x))).max() > 1e-3


def test_what_is_returned_for_a_nested_model_stands_for_all_of_it() -> None:
    class Skipping(Recording):
        def enter(self, key: Any, node: Any, call: Call) -> Any:
            return call.tensors[0]

    model = nested()
    visitor = Skipping(graph_of(model))
    with visitor.watching():
        model(data())
    assert [key for key, _ in visitor.visited] == [(0,), (3,)]


def test_only_the_next_call_is_visited() -> None:
    other, x = functional(), data()
    for model, nodes in ((nested(), len(LEAVES)), (functional(), 1)):
        visitor = Recording(graph_of(model))
        with visitor.watching():
            other(x)
            assert visitor.visited == []
            model(x)
            model(x)
        model(x)
        assert len(visitor.visited) == nodes


def test_a_visitor_can_be_used_again() -> None:
    model, x = nested(), data()
    visitor = Recording(graph_of(model))
    for _ in range(2):
        with visitor.watching():
            model(x)
    assert len(visitor.visited) == 2 * len(LEAVES)


def test_after_an_error_keras_runs_its_graphs_itself() -> None:
    class Failing(Recording):
        def visit(self, key: Any, node: Any, call: Call) -> Any:
            if key == (1, 1, 0):
                raise ArithmeticError("on purpose")
            return super().visit(key, node, call)

    model, x = nested(), data()
    expected = ops.convert_to_numpy(model(x))
    visitor = Failing(graph_of(model))
    with pytest.raises(ArithmeticError, match="on purpose"), visitor.watching():
        model(x)
    assert "_run_through_graph" not in vars(Functional)
    seen = len(visitor.visited)
    np.testing.assert_array_equal(ops.convert_to_numpy(model(x)), expected)
    assert len(visitor.visited) == seen


def test_tensors_of_a_call_are_found_wherever_they_are() -> None:
    a, b, c = ops.ones(1), ops.ones(2), ops.ones(3)
    call = Call(lambda *args, **kwargs: (args, kwargs), (a, [b, None]), {"x": {"y": c}, "z": 2})
    assert [tuple(x.shape) for x in call.tensors] == [(1,), (2,), (3,)]
    args, kwargs = call.run()
    assert args[0] is a
    assert kwargs["z"] == 2
