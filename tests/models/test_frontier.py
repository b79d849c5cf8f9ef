"""The exact nodes before the first noise, in graphs of every shape."""

import gc
import random
import weakref
from typing import Any

import keras
import pytest
from keras import layers

from rdrop_tf import RDropModel
from rdrop_tf.models import frontier as module
from rdrop_tf.models.frontier import Frontier, frontier_of, possible_frontier_of
from rdrop_tf.models.graphs import leaves_of
from tests.models import noisy, zoo

pytestmark = pytest.mark.one_backend


def dense(name: str) -> layers.Layer:
    return layers.Dense(8, name=name)


def drop(name: str = "drop") -> layers.Layer:
    return layers.Dropout(0.5, name=name)


def prefix_of(model: keras.Model) -> list[str]:
    """Names of the prefix's nodes, in the order in which they run."""
    prefix = possible_frontier_of(model).prefix
    leaves = list(leaves_of(model))
    assert prefix <= {key for key, _, _ in leaves}
    return [name for key, name, _ in leaves if key in prefix]


def noise_of(model: keras.Model) -> list[str]:
    return [name for name, _ in possible_frontier_of(model).stochastic]


def test_chain() -> None:
    x = keras.Input((8,))
    model = keras.Model(x, dense("c")(drop()(dense("b")(dense("a")(x)))))
    expected = frozenset({(0,), (1,)})
    assert frontier_of(model) == Frontier(expected, expected, (("drop", "keeps a seed generator"),))


def test_noise_at_the_input_and_no_noise_at_all() -> None:
    x = keras.Input((8,))
    first = keras.Model(x, dense("a")(drop()(x)))
    assert frontier_of(first) == Frontier(
        frozenset(), frozenset(), (("drop", "keeps a seed generator"),)
    )
    none = keras.Model(x, dense("c")(dense("b")(x)))
    assert frontier_of(none) == Frontier(frozenset({(0,), (1,)}), frozenset({(0,), (1,)}), ())


def test_branches() -> None:
    """A quiet branch counts to its end; of noise behind noise only the first is named."""
    x = keras.Input((8,))
    stem = dense("stem")(x)
    quiet = dense("quiet_2")(dense("quiet_1")(stem))
    loud = drop("late")(dense("behind")(drop("early")(dense("loud")(stem))))
    other = drop("other")(dense("third")(x))
    model = keras.Model(x, dense("head")(layers.Add(name="add")([quiet, loud, other])))
    assert sorted(prefix_of(model)) == ["loud", "quiet_1", "quiet_2", "stem", "third"]
    assert sorted(noise_of(model)) == ["early", "other"]


def test_skip_connection() -> None:
    """What goes around the noise is of the prefix up to where both meet."""
    x = keras.Input((8,))
    h = dense("a")(x)
    around = dense("around")(layers.Add(name="before")([x, h]))
    h = layers.Add(name="meet")([around, drop()(h)])
    model = keras.Model(x, [dense("head")(h), dense("side")(around)])
    assert sorted(prefix_of(model)) == ["a", "around", "before", "side"]
    assert noise_of(model) == ["drop"]


def test_shared_layer() -> None:
    """A node is one call: the same layer lies before and behind the noise."""
    x = keras.Input((8,))
    shared = dense("shared")
    model = keras.Model(x, shared(drop()(shared(shared(x)))))
    frontier = possible_frontier_of(model)
    assert frontier.prefix == frontier.reused == {(0,), (1,)}


def test_an_output_of_the_prefix_may_go_on_to_noise() -> None:
    x = keras.Input((8,))
    h = dense("a")(x)
    model = keras.Model(x, [h, dense("b")(h), dense("c")(drop()(h))])
    assert sorted(prefix_of(model)) == ["a", "b"]


def wrap(x: Any, y: Any, name: str) -> keras.Model:
    return keras.Model(x, y, name=name)


def test_nested_models() -> None:
    """One that is quiet is reused as a whole where its inputs are, one with noise in parts."""
    y = keras.Input((8,))
    quiet = wrap(y, dense("q2")(dense("q1")(y)), "quiet")
    z = keras.Input((8,))
    loud = wrap(z, dense("l2")(drop()(quiet(dense("l1")(z)))), "loud")
    x = keras.Input((8,))
    model = keras.Model(x, quiet(loud(quiet(x))))
    assert prefix_of(model) == ["quiet/q1", "quiet/q2", "loud/l1", "loud/quiet/q1", "loud/quiet/q2"]
    assert noise_of(model) == ["loud/drop"]
    assert possible_frontier_of(model).reused == {(0,), (1, 0), (1, 1)}


def test_several_outputs_of_a_nested_model() -> None:
    y = keras.Input((8,))
    h = dense("h")(y)
    inner = wrap(y, [drop()(h), dense("quiet")(h)], "inner")
    x = keras.Input((8,))
    left, right = inner(x)
    model = keras.Model(x, [dense("left")(left), dense("right")(right)])
    assert sorted(prefix_of(model)) == ["inner/h", "inner/quiet", "right"]


# How a nested model with the inputs `loud` and `quiet` is made, how it is called, and whether
# it is plain which input is which. The keys of the dicts are not sorted.
CALLS: dict[str, tuple[Any, Any, bool]] = {
    "list": (lambda p, q: [p, q], lambda p, q: [p, q], True),
    "tuple": (lambda p, q: [p, q], lambda p, q: (p, q), True),
    "dict": (
        lambda p, q: {"quiet": q, "loud": p},
        lambda p, q: {"quiet": q, "loud": p},
        True,
    ),
    "a dict for a list": (lambda p, q: [p, q], lambda p, q: {"loud": p, "quiet": q}, False),
}


@pytest.mark.parametrize("name", CALLS)
def test_noise_enters_a_nested_model_by_one_input_alone(name: str) -> None:
    made, called, plain = CALLS[name]
    p, q = keras.Input((8,), name="loud"), keras.Input((8,), name="quiet")
    inner = wrap(made(p, q), [dense("of_loud")(p), dense("of_quiet")(q)], "inner")
    x = keras.Input((8,))
    left, right = inner(called(drop()(x), dense("before")(x)))
    model = keras.Model(x, layers.Add(name="add")([left, dense("right")(right)]))
    inside = ["inner/of_quiet", "right"] if plain else []
    assert sorted(prefix_of(model)) == ["before", *inside]


def random_graph(seed: int) -> tuple[keras.Model, dict[str, set[str]]]:
    """A model of 14 layers, each fed by one to three before it, and who feeds whom."""
    draw = random.Random(seed)
    tensors, feeds = {"x": keras.Input((2,))}, {}
    for index in range(14):
        sources = draw.sample(sorted(tensors), min(len(tensors), draw.randint(1, 3)))
        is_noise = draw.random() < 0.15
        name = f"{'noise' if is_noise else 'quiet'}_{index}"
        inputs = [tensors[source] for source in sources]
        if is_noise:
            inputs, sources = inputs[:1], sources[:1]
        if len(inputs) > 1:
            tensors[name] = layers.Add(name=name)(inputs)
        else:
            layer = layers.Dropout(0.5, name=name) if is_noise else layers.ReLU(name=name)
            tensors[name] = layer(inputs[0])
        feeds[name] = set(sources)
    x = tensors.pop("x")
    return keras.Model(x, list(tensors.values())), feeds


def ancestors(name: str, feeds: dict[str, set[str]]) -> set[str]:
    return {name}.union(*(ancestors(source, feeds) for source in feeds.get(name, ())))


def test_random_graphs() -> None:
    """A node is of the prefix if no path leads to it from noise."""
    sizes = set()
    for seed in range(12):
        model, feeds = random_graph(seed)
        noise = {name for name in feeds if name.startswith("noise")}
        expected = {name for name in feeds if not noise & ancestors(name, feeds)}
        assert set(prefix_of(model)) == expected
        first = {name for name in noise if noise & ancestors(name, feeds) == {name}}
        assert set(noise_of(model)) == first
        sizes.add(len(expected))
    assert len(sizes) > 3, "graphs must differ"


def test_the_possible_frontier_runs_nothing_and_knows_only_what_layers_are() -> None:
    class Hidden(noisy.GlobalNoise):
        runs = 0

        def call(self, x: Any, training: bool = False) -> Any:
            self.runs += 1
            return super().call(x, training)

    hidden = Hidden(name="hidden")
    model = noisy.with_layer(hidden)
    runs = hidden.runs
    assert prefix_of(model) == ["before", "hidden", "head"]
    assert hidden.runs == runs
    found = frontier_of(model)
    assert (found.prefix, found.stochastic) == ({(0,)}, (("hidden", "draws noise"),))
    assert hidden.runs > runs


class NoisyWhileTrained(layers.Layer):
    """As a SavedModel: noise in training, none once it is frozen."""

    def call(self, x: Any, training: bool = False) -> Any:
        return keras.random.dropout(x, 0.5) if training and self.trainable else x


def test_what_is_remembered_follows_trainable() -> None:
    layer = NoisyWhileTrained(name="while_trained")
    inner = noisy.with_layer(layer)
    x = keras.Input((8,))
    model = keras.Model(x, inner(x))
    loud, quiet = {(0, 0)}, {(0, 0), (0, 1), (0, 2)}
    assert frontier_of(model).prefix == loud
    assert frontier_of(model) is frontier_of(model)
    layer.trainable = False
    assert frontier_of(model).prefix == quiet
    layer.trainable = True
    assert frontier_of(model).prefix == loud


def test_a_wrapped_model_shares_what_is_remembered() -> None:
    model = zoo.functional(0.3)
    assert frontier_of(RDropModel(model)) is frontier_of(model)


def test_what_is_remembered_keeps_no_model_alive() -> None:
    model = noisy.chain(0.4)
    frontier_of(model)
    assert model in module._FOUND
    known, gone = len(module._FOUND), weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    assert len(module._FOUND) < known
