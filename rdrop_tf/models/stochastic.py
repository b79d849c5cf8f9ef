"""Which nodes of a functional model are stochastic: two runs of one may give different values.

Two rules together, as each misses what the other finds:

- by what a layer is: it, or a layer inside it, keeps a seed generator, or is a SavedModel
  that draws. Rare noise (a drop path of 1 %) is found all the same.
- by what a node does (`trial`): it is run on made-up data.

A node that cannot be run counts as stochastic: calling it once a pass is always right.
"""

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import tree

from rdrop_tf.layers.saved_model import SavedModelLayer
from rdrop_tf.models.graphs import Call, Graph, Key, Node, Visitor, graph_of, wrapped
from rdrop_tf.models.made_up import outputs_like, tensor_like
from rdrop_tf.models.trial import trial

# What stands for an unknown length, tried in turn: positions may end early, convolutions of
# large images may need many pixels.
_LENGTHS = (8, 32, 128)


def by_what_it_is(node: Node) -> str | None:
    """Says why a node is stochastic by the layers in it; None if nothing tells."""
    is_layer = isinstance(node.operation, keras.layers.Layer)
    for layer in node.operation._flatten_layers() if is_layer else ():
        if isinstance(layer, SavedModelLayer):
            if layer.draws_noise:
                return "a SavedModel that draws noise"
        elif layer._seed_generators and not _is_recurrent_without_dropout(layer):
            return "keeps a seed generator"
    return None


def by_what_it_does(model: keras.Model, suspects: Iterable[Key]) -> dict[Key, str]:
    """Runs nodes on made-up data and says which are stochastic, and why.

    Nothing of the model changes: weights and states are made up too, and stand in for the
    real ones in a scope that is thrown away.

    Args:
        model: A model that has a graph.
        suspects: Keys of the nodes to look at, with those of all nodes that they depend on.
    """
    keys = frozenset(suspects)
    graph: Graph = graph_of(model)
    unknown = any(None in x.shape[1:] for x in graph.inputs)
    checks = []
    for length in _LENGTHS if unknown else _LENGTHS[:1]:
        checks.append(_Check(graph, keys, length))
        _far_from_tracing(partial(checks[-1].run, wrapped(model)))
        if not checks[-1].failed:
            break
    best = min(checks, key=lambda check: len(check.failed))
    return best.found | best.failed


def _is_recurrent_without_dropout(layer: Any) -> bool:
    """Whether a layer has the two rates of a recurrent one, and both are 0.

    Recurrent layers and cells keep a seed generator all the same, and never use it.
    """
    rates = [getattr(layer, name, None) for name in ("dropout", "recurrent_dropout")]
    return all(isinstance(rate, int | float) and rate == 0 for rate in rates)


def _far_from_tracing(work: Callable[[], None]) -> None:
    """Does work in a thread of its own, and leaves Python's and NumPy's noise as it was.

    What Keras, TensorFlow and JAX are in the middle of (a trace, a strategy's scope, a
    stateless scope) belongs to the thread that is in it.
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(work).result()
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


class _Check(Visitor):
    """Looks at each suspect when Keras reaches it; all else gets made-up values.

    Attributes:
        found: Why nodes are stochastic.
        failed: Why nodes could not be run.
    """

    def __init__(self, graph: Graph, suspects: frozenset[Key], length: int) -> None:
        super().__init__(graph)
        self._suspects, self._length = suspects, length
        self._visited: set[Key] = set()
        self.found: dict[Key, str] = {}
        self.failed: dict[Key, str] = {}

    def run(self, model: Any) -> None:
        try:
            with keras.StatelessScope(), self.watching():
                inputs = [tensor_like(x, self._length) for x in self._graph.inputs]
                _Outside(model)(tree.pack_sequence_as(self._graph._inputs_struct, inputs))
        except Exception as error:
            self._fail_below((), error)

    def visit(self, key: Key, node: Node, call: Call) -> Any:
        self._visited.add(key)
        if key not in self._suspects:
            return outputs_like(node, self._length)
        try:
            reason, outputs = trial(node.operation, call)
        except Exception as error:
            self.failed[key] = _could_not_run(error)
            return outputs_like(node, self._length)
        if reason is not None:
            self.found[key] = reason
        return outputs_like(node, self._length) if outputs is None else outputs

    def enter(self, key: Key, node: Node, call: Call) -> Any:
        try:
            return call.run()
        except Exception as error:
            self._fail_below(key, error)
            return outputs_like(node, self._length)

    def _fail_below(self, key: Key, error: Exception) -> None:
        below = {k for k in self._suspects - self._visited if k[: len(key)] == key}
        self._visited |= below
        self.failed |= dict.fromkeys(below, _could_not_run(error))


class _Outside(keras.layers.Layer):
    """Calls a model as a part: the outermost layer of a call forgets the last call's losses."""

    def __init__(self, model: Any) -> None:
        super().__init__(autocast=False, dtype=model.dtype_policy)

        def of_model(inputs: Any) -> Any:
            return model(inputs, training=True)

        # A closure, so that the model is no layer of this one.
        self._of_model: Callable[[Any], Any] = of_model
        self._convert_input_args, self._allow_non_tensor_positional_args = False, True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self._of_model(inputs)


def _could_not_run(error: Exception) -> str:
    return f"could not be run on made-up data: {type(error).__name__}"
