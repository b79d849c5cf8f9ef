"""Where a functional model's deterministic prefix ends."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import keras
from keras import tree

from rdrop_tf.models.graphs import Graph, Key, Node, graph_of, leaves_of, nodes_of, opened
from rdrop_tf.models.stochastic import by_what_it_does, by_what_it_is


@dataclass(frozen=True)
class Frontier:
    """What gives the same values in every pass, and where that ends.

    Attributes:
        prefix: Keys of the nodes that no stochastic node comes before, those inside nested
            models one by one.
        reused: The same, with a nested model that lies in the prefix as one.
        stochastic: The first stochastic nodes: their names and why they are stochastic.
    """

    prefix: frozenset[Key]
    reused: frozenset[Key]
    stochastic: tuple[tuple[str, str], ...]


def frontier_of(model: keras.Model) -> Frontier:
    """Returns the frontier of a model that has a graph; looked for once, then remembered.

    Runs the nodes before the first ones that are known to be stochastic on made-up data.
    """
    graph = graph_of(model)
    state = _state_of(graph)
    known = _FOUND.get(graph)
    if known is None or known.state != state:
        first = possible_frontier_of(model)
        found = by_what_it_does(model, first.prefix) if first.prefix else {}
        known = _FOUND[graph] = _Found(state, found, _frontier(graph, found) if found else first)
    return known.frontier


def possible_frontier_of(model: keras.Model) -> Frontier:
    """Returns the frontier if only layers that are known to draw do so; runs nothing."""
    return _frontier(graph_of(model), {})


def frontier_with(graph: Graph, key: Key, reason: str) -> Frontier:
    """Returns, and remembers, the frontier of a graph in which one more node is stochastic."""
    known = _FOUND.get(graph)
    found = {**(known.found if known is not None else {}), key: reason}
    frontier = _frontier(graph, found)
    _FOUND[graph] = _Found(_state_of(graph), found, frontier)
    return frontier


def nodes_before(graph: Graph, is_first: Callable[[Node], bool]) -> set[Key]:
    """Returns the keys of the nodes that come neither at nor after those that a rule names."""
    walk = _Walk(lambda key, node: "named" if is_first(node) else None)
    walk.through(graph, (), [False] * len(graph.inputs))
    return walk.prefix


@dataclass(frozen=True)
class _Found:
    """What is known of a graph: in which state, which nodes running them has found, and the end."""

    state: tuple[bool, ...]
    found: dict[Key, str]
    frontier: Frontier


# Beside the models, not in them: what a model holds is tracked and saved by Keras.
_FOUND: WeakKeyDictionary[Any, _Found] = WeakKeyDictionary()


def _state_of(graph: Graph) -> tuple[bool, ...]:
    """What a layer's noise may depend on: a frozen SavedModel draws none."""
    return tuple(bool(layer.trainable) for layer in graph._flatten_layers())


def _frontier(graph: Graph, found: dict[Key, str]) -> Frontier:
    walk = _Walk(lambda key, node: found.get(key) or by_what_it_is(node))
    walk.through(graph, (), [False] * len(graph.inputs))
    names = {key: name for key, name, _ in leaves_of(graph)}
    stochastic = tuple((names[key], reason) for key, reason in walk.stochastic.items())
    return Frontier(frozenset(walk.prefix), frozenset(_reused(graph, walk.prefix)), stochastic)


@dataclass
class _Walk:
    """Follows noise through a graph and the graphs nested in it."""

    reason_of: Callable[[Key, Node], str | None]
    prefix: set[Key] = field(default_factory=set)
    stochastic: dict[Key, str] = field(default_factory=dict)

    def through(self, graph: Graph, path: Key, noisy_inputs: list[bool]) -> list[bool]:
        """Returns which outputs of a graph are noisy."""
        noisy = {id(x) for x, is_noisy in zip(graph.inputs, noisy_inputs, strict=True) if is_noisy}
        for index, node in enumerate(nodes_of(graph)):
            flags = {id(x): id(x) in noisy for x in node.input_tensors}
            outputs = self._at((*path, index), node, flags)
            noisy |= {id(x) for x, is_noisy in zip(node.outputs, outputs, strict=True) if is_noisy}
        return [id(x) in noisy for x in graph.outputs]

    def _at(self, key: Key, node: Node, flags: dict[int, bool]) -> list[bool]:
        inner = opened(node.operation)
        if inner is not None:
            inputs = _noisy_inputs(inner, node, flags)
            return self.through(inner, key, inputs)
        if any(flags.values()):
            return [True] * len(node.outputs)
        reason = self.reason_of(key, node)
        if reason is None:
            self.prefix.add(key)
        else:
            self.stochastic[key] = reason
        return [reason is not None] * len(node.outputs)


def _noisy_inputs(inner: Graph, node: Node, flags: dict[int, bool]) -> list[bool]:
    """Returns which inputs of a nested model are noisy; all of them where that is not plain."""
    everything = [any(flags.values())] * len(inner.inputs)
    if not node.arguments.args:
        return everything
    given = node.arguments.args[0]
    tensors = tree.flatten(given)
    known = [flags.get(id(x), False) for x in tensors]
    others = sum(flags.values()) - sum(flags.get(i, False) for i in {id(x) for x in tensors})
    # Keras sorts a dict into a list of inputs by name; every other order is that of the tensors.
    same_order = isinstance(given, dict) == isinstance(inner._inputs_struct, dict)
    return known if same_order and not others and len(known) == len(everything) else everything


def _reused(graph: Graph, prefix: set[Key], path: Key = ()) -> set[Key]:
    """Puts one key in the place of those of a nested model that lies in the prefix."""
    keys: set[Key] = set()
    for index, node in enumerate(nodes_of(graph)):
        key, inner = (*path, index), opened(node.operation)
        if inner is None:
            keys |= {key} & prefix
        else:
            below = {leaf for leaf, _, _ in leaves_of(inner, key)}
            keys |= {key} if below and below <= prefix else _reused(inner, prefix, key)
    return keys
