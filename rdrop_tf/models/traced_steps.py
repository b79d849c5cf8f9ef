"""Lets go of traced steps, which TensorFlow would keep for as long as the process lives.

Every `tf.custom_gradient` in a graph registers a function for good, and that function holds the
graph, and the graph the weights: in Keras each model that was ever trained, with the optimizer's
slots. Nobody takes the gradient of a whole step, so what its graph has registered can go once the
step is traced.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

_PREFIX = "CustomGradient-"
# Keras traces a layer into such a graph to see the shapes that come out of it, and builds it there.
_SHAPES = "scratch_graph"


class TracedSteps:
    """The graphs of steps that are being traced."""

    def __init__(self) -> None:
        self._graphs: list[Any] = []
        self._running = 0

    def note(self) -> None:
        """Notes the graph into which a step is traced at the moment, if there is one.

        Outside of a step's own function it does nothing: who traces a step into a graph of
        theirs may take its gradient later.
        """
        import tensorflow as tf

        if self._running and tf.inside_function():
            self._graphs.append(tf.compat.v1.get_default_graph())

    def letting_go(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a compiled step: when it returns, nothing of its graphs stays registered.

        Not earlier: while it is traced, another replica may have its gradient still to take.
        """

        @functools.wraps(function)
        def step(*args: Any) -> Any:
            self._running += 1
            try:
                return function(*args)
            finally:
                self._running -= 1
                if self._graphs and not self._running:
                    steps = {id(graph) for graph in self._graphs}
                    unregister(lambda graph: id(graph) in steps or graph.name.startswith(_SHAPES))
                    self._graphs.clear()

        return step


def unregister(is_over: Callable[[Any], bool]) -> None:
    """Takes functions of gradients out of TensorFlow's registry.

    Args:
        is_over: Whether nobody will take a gradient of a graph any more. It is asked for the graph
            that a function was registered in, or for that around the loops and branches it was
            registered in. Graphs that only call a layer's own `tf.function` are not asked for it:
            that may be called under a tape later.
    """
    from tensorflow.python.framework import ops

    registry = ops.gradient_registry._registry
    for name in [name for name in registry if name.startswith(_PREFIX)]:
        graph = _graph_of(registry[name]["type"])
        if graph is not None and is_over(graph):
            registry.pop(name, None)


def _graph_of(gradient: Callable[..., Any]) -> Any:
    """Returns the graph in which a custom gradient was registered; None if it does not show."""
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_v2_func_graphs import ControlFlowFuncGraph

    inner = inspect.getclosurevars(gradient).nonlocals.get("tape_grad_fn")
    result = inspect.getclosurevars(inner).nonlocals.get("result") if inner else None
    graphs = [x.graph for x in tf.nest.flatten(result) if hasattr(x, "graph")]
    graph = graphs[0] if graphs else None
    while isinstance(graph, ControlFlowFuncGraph):
        graph = graph.outer_graph
    return graph
