"""Lets go of traced steps, which TensorFlow would keep for as long as the process lives.

Every `tf.custom_gradient` in a graph registers a function for good, and that function holds the
graph, and the graph the weights: in Keras each model that was ever trained, with the optimizer's
slots. Nobody takes the gradient of a whole step, so what its graph has registered can go once the
step is traced.
"""

import functools
from collections.abc import Callable
from typing import Any

_PREFIX = "CustomGradient-"


class TracedSteps:
    """The graphs of steps that are being traced."""

    def __init__(self) -> None:
        self._graphs: list[Any] = []

    def note(self) -> None:
        """Notes the graph into which the step is traced at the moment, if there is one."""
        import tensorflow as tf

        if not tf.inside_function():
            return
        graph = tf.compat.v1.get_default_graph()
        if not any(noted is graph for noted in self._graphs):
            self._graphs.append(graph)

    def letting_go(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a compiled step: when it returns, nothing of its graphs stays registered.

        Not earlier: while it is traced, another replica may have its gradient still to take.
        """

        @functools.wraps(function)
        def step(*args: Any) -> Any:
            try:
                return function(*args)
            finally:
                while self._graphs:
                    _unregister(self._graphs.pop())

        return step


def _unregister(graph: Any) -> None:
    """Takes the functions out of the registry that operations of this very graph name.

    Those of functions that the graph only calls stay: a layer's own `tf.function` may be called
    under a tape later.
    """
    from tensorflow.python.framework import ops

    registry = ops.gradient_registry._registry
    for operation in graph.get_operations():
        if operation.type == "IdentityN" and "_gradient_op_type" in operation.node_def.attr:
            name = operation.get_attr("_gradient_op_type").decode()
            if name.startswith(_PREFIX):
                registry.pop(name, None)
