"""The graph of a functional model, and a visitor of its nodes while Keras runs it.

A node is one call of a layer or an operation. Its key says where it is: its number in the
order in which Keras runs the graph, after the key of the nested model it lies in.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
from keras import tree

from rdrop_tf._keras import Functional, graphs_run_by, run_graph
from rdrop_tf._typing import Tensor

Key: TypeAlias = tuple[int, ...]
# Keras ships no types: a graph is a functional model, a node one entry of it.
Graph: TypeAlias = Any
Node: TypeAlias = Any


def graph_of(model: Any) -> Graph | None:
    """Returns the functional model behind a model, None where Keras keeps no graph.

    An `RDropModel` stands for the model that it wraps.
    """
    model = wrapped(model)
    return None if why_no_graph(model) else getattr(model, "_functional", model)


def wrapped(model: Any) -> Any:
    """Returns the model that an `RDropModel` wraps; any other model as it is."""
    return model.model if hasattr(model, "alpha_weights") else model


def why_no_graph(model: Any) -> str | None:
    """Says why a model has no graph that its calls follow; None for one that has."""
    kind = keras.Sequential if isinstance(model, keras.Sequential) else Functional
    if not isinstance(model, kind):
        return (
            f"'{model.name}' is a subclassed model ({type(model).__name__}), and Keras keeps no "
            "graph of what its `call` does"
        )
    own_call = type(model).call is not kind.call or "call" in vars(model)
    # KerasHub's tasks have a `__call__` that refuses strings.
    if own_call or type(model).__call__.__module__.split(".")[0] not in ("keras", "keras_hub"):
        return (
            f"the class of '{model.name}' ({type(model).__name__}) has a `call` of its own, which "
            "may do more than the graph says"
        )
    if kind is keras.Sequential and not model.built:
        return f"'{model.name}' is not built, so its graph is not known yet"
    if kind is keras.Sequential and model._functional is None:
        return f"Keras made no graph for the layers of '{model.name}' (nested inputs, for one)"
    return None


def opened(operation: Any) -> Graph | None:
    """Returns the graph of a nested model, None for all else.

    A nested model that is rematerialized or quantized stays closed: its values live elsewhere.
    """
    if not isinstance(operation, keras.Model) or operation._remat_mode is not None:
        return None
    if getattr(operation, "quantization_mode", None) is not None:
        return None
    return graph_of(operation)


def nodes_of(graph: Graph) -> list[Node]:
    """Returns a graph's nodes in the order in which Keras runs them."""
    depths = sorted(graph._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in graph._nodes_by_depth[depth]]
    return [node for node in nodes if node.operation and not node.is_input]


def leaves_of(graph: Graph, path: Key = (), name: str = "") -> Iterator[tuple[Key, str, Node]]:
    """Yields key, name and node of every node, those of nested models in their place."""
    for index, node in enumerate(nodes_of(graph)):
        key, full = (*path, index), f"{name}{node.operation.name}"
        inner = opened(node.operation)
        if inner is None:
            yield key, full, node
        else:
            yield from leaves_of(inner, key, f"{full}/")


class Visitor:
    """Sees every node of one model's graph, nested ones included, while Keras runs it.

    Keras itself walks the graph and prepares the arguments (`training`, masks, dtypes), so
    what a node sees is what it sees in any other call.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        # The graph that is about to be run as part of the model, and its key. Graphs that a
        # layer runs inside its own `call` are none of the visitor's business.
        self._entered: tuple[Graph, Key] | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Visits the nodes of the next call of the model, which must be made inside."""
        self._entered = (self._graph, ())
        try:
            with graphs_run_by(self._run):
                yield
        finally:
            self._entered = None

    def visit(self, key: Key, node: Node, call: "Call") -> Any:
        """Returns the outputs of a node; the call runs it."""
        return call.run()

    def enter(self, key: Key, node: Node, call: "Call") -> Any:
        """Returns the outputs of a nested model; the call runs it, and visits its nodes."""
        return call.run()

    def _run(self, graph: Graph, inputs: Any, operation_fn: Callable[[Any], Any]) -> Any:
        if self._entered is None or self._entered[0] is not graph:
            return run_graph(graph, inputs, operation_fn=operation_fn)
        path, self._entered = self._entered[1], None
        nodes = iter(enumerate(nodes_of(graph)))

        def visiting(operation: Any) -> Callable[..., Any]:
            index, node = next(nodes)

            def call(*args: Any, **kwargs: Any) -> Any:
                return self._visit((*path, index), node, operation_fn(operation), args, kwargs)

            return call

        return run_graph(graph, inputs, operation_fn=visiting)

    def _visit(self, key: Key, node: Node, operation: Any, args: Any, kwargs: Any) -> Any:
        inner = opened(node.operation)
        if inner is None:
            return self.visit(key, node, Call(operation, args, kwargs))

        def entering(*args: Any, **kwargs: Any) -> Any:
            self._entered = (inner, key)
            try:
                return operation(*args, **kwargs)
            finally:
                self._entered = None

        return self.enter(key, node, Call(entering, args, kwargs))


@dataclass(frozen=True)
class Call:
    """What Keras is about to call at a node, and with what."""

    operation: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def run(self) -> Any:
        """Calls it."""
        return self.operation(*self.args, **self.kwargs)

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors among the arguments."""
        leaves = tree.flatten((self.args, self.kwargs))
        return [leaf for leaf in leaves if keras.ops.is_tensor(leaf)]
