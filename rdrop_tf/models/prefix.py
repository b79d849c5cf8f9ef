"""What comes before the first stochastic layer, computed once for all passes."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops, tree

from rdrop_tf._keras import get_mask, mask_to
from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.models.draws import listen
from rdrop_tf.models.frontier import Frontier, frontier_with
from rdrop_tf.models.graphs import Call, Graph, Key, Node, Visitor


@dataclass(frozen=True)
class _Outcome:
    """What running a node left behind.

    Attributes:
        outputs: Its outputs.
        masks: Its inputs and outputs with their masks after it ran, which it may have changed.
        losses: What its layers added as losses.
    """

    outputs: Nested
    masks: list[tuple[Tensor, Tensor | None]]
    losses: list[tuple[Any, Tensor]]


class Prefix(Visitor):
    """Remembers the prefix in the first call of a model, and reuses it in the next ones.

    Only within one step: what it holds are the tensors of that step. A node of the prefix that
    draws noise all the same (at some lengths only, for one) ends the prefix, at once and for good.

    Example:
        prefix = Prefix(graph, frontier)
        with prefix.watching():
            first = model(x, training=True)     # runs everything
        with prefix.watching():
            second = model(x, training=True)    # runs what lies behind the frontier
    """

    def __init__(self, graph: Graph, frontier: Frontier) -> None:
        super().__init__(graph)
        self._frontier = frontier
        self._outcomes: dict[Key, _Outcome] = {}

    def visit(self, key: Key, node: Node, call: Call) -> Any:
        """Runs a node, unless it is of the prefix and has been run."""
        if key in self._outcomes and key in self._frontier.reused:
            return _again(self._outcomes[key])
        if key not in self._frontier.prefix:
            return call.run()
        with listen(this_thread=True) as heard:
            outcome = _run(node.operation, call)
        if heard.fresh or heard.frozen or heard.raw:
            self._frontier = frontier_with(self._graph, key, "draws noise in a training step")
        elif key in self._frontier.reused:
            self._outcomes[key] = outcome
        return outcome.outputs

    def enter(self, key: Key, node: Node, call: Call) -> Any:
        """The same for a nested model that is of the prefix as a whole."""
        if key not in self._frontier.reused:
            return call.run()
        if key in self._outcomes:
            return _again(self._outcomes[key])
        outcome = _run(node.operation, call)
        # One of its nodes may have drawn noise.
        if key in self._frontier.reused:
            self._outcomes[key] = outcome
        return outcome.outputs


def _run(operation: Any, call: Call) -> _Outcome:
    is_layer = isinstance(operation, keras.layers.Layer)
    layers = list(operation._flatten_layers()) if is_layer else []
    before = [len(layer._get_own_losses()) for layer in layers]
    outputs = call.run()
    losses = [
        (layer, loss)
        for layer, known in zip(layers, before, strict=True)
        for loss in layer._get_own_losses()[known:]
    ]
    touched = [*call.tensors, *(x for x in tree.flatten(outputs) if ops.is_tensor(x))]
    return _Outcome(outputs, [(x, get_mask(x)) for x in touched], losses)


def _again(outcome: _Outcome) -> Nested:
    """Leaves behind once more what the first run left."""
    for x, mask in outcome.masks:
        mask_to(x, mask)
    for layer, loss in outcome.losses:
        # Not the method of the layer's class: a functional model has none that adds.
        keras.layers.Layer.add_loss(layer, loss)
    return outcome.outputs
