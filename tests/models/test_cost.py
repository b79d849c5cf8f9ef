"""The cost of a step in plain steps, against the counts written out with NumPy."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

from rdrop_tf.models.cost import Cost, cost_of
from rdrop_tf.models.frontier import Frontier, possible_frontier_of
from rdrop_tf.models.graphs import leaves_of

pytestmark = pytest.mark.one_backend

SIZES = (0.0, 1.0, 7.5, 2e12)


def operations(prefix: float, rest: float, trained: bool, calls: tuple[int, int]) -> np.float64:
    """Sums forward (1) and backward (2) operations of so many calls of prefix and rest."""
    backward = np.array([2.0 if trained else 0.0, 2.0])
    return np.sum(np.array(calls) * (1.0 + backward) * np.array([prefix, rest]))


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("passes", [1, 2, 3, 4])
def test_multiples_are_the_operations_of_all_calls_by_those_of_one(
    passes: int, trained: bool
) -> None:
    for prefix, rest in itertools.product(SIZES, SIZES):
        plain = operations(prefix, rest, trained, (1, 1))
        if not plain:
            continue
        cost = Cost(prefix, rest, prefix if trained else 0.0, rest)
        shared = operations(prefix, rest, trained, (1, passes)) / plain
        apart = operations(prefix, rest, trained, (passes, passes)) / plain
        assert cost.multiple(passes, shared=True) == pytest.approx(shared, rel=1e-12)
        assert cost.multiple(passes, shared=False) == apart == passes
        share = operations(prefix, 0.0, trained, (1, 1)) / plain
        assert cost.step_share == pytest.approx(share, rel=1e-12)
        assert cost.forward_share == pytest.approx(prefix / (prefix + rest), rel=1e-12)


def test_a_model_without_operations_shares_nothing() -> None:
    cost = Cost(0.0, 0.0, 0.0, 0.0)
    assert (cost.forward_share, cost.step_share) == (0.0, 0.0)
    for shared in (True, False):
        assert cost.multiple(3, shared) == 3.0


def two_dense() -> keras.Model:
    x = keras.Input((8,))
    h = layers.Dense(16, name="first")(x)
    h = layers.Dense(4, name="second")(h)
    h = layers.Dropout(0.5)(h)
    return keras.Model(x, layers.Dense(3, name="head")(h))


# Two for each multiply-add, one for each number that comes out.
FIRST, SECOND = 2 * 8 * 16 + 16, 2 * 16 * 4 + 4
NOISE_AND_HEAD = 4 + (2 * 4 * 3 + 3)


def test_operations_are_summed_on_both_sides_of_the_frontier() -> None:
    model = two_dense()
    cost = cost_of(model, possible_frontier_of(model))
    both = FIRST + SECOND, NOISE_AND_HEAD
    assert cost == Cost(*both, *both)


@pytest.mark.parametrize(
    ("frozen", "backward"),
    [
        (["first"], (SECOND, NOISE_AND_HEAD)),
        (["second"], (FIRST + SECOND, NOISE_AND_HEAD)),
        (["first", "second"], (0, NOISE_AND_HEAD - 4)),
        (["head"], (FIRST + SECOND, NOISE_AND_HEAD)),
        (["first", "second", "head"], (0, 0)),
    ],
)
def test_gradients_go_through_what_comes_after_the_first_trained_weights(
    frozen: list[str], backward: tuple[int, int]
) -> None:
    model = two_dense()
    for name in frozen:
        model.get_layer(name).trainable = False
    cost = cost_of(model, possible_frontier_of(model))
    assert cost == Cost(FIRST + SECOND, NOISE_AND_HEAD, *backward)


def test_a_prefix_without_weights_is_not_trained() -> None:
    x = keras.Input((8,))
    h = layers.Dropout(0.5)(keras.ops.tanh(layers.Rescaling(2.0)(x)))
    model = keras.Model(x, layers.Dense(3)(h))
    cost = cost_of(model, possible_frontier_of(model))
    head = 2 * 8 * 3 + 3
    assert cost == Cost(16.0, 8 + head, 0.0, head)


def test_shared_layers_and_nested_models_count_at_every_call() -> None:
    y = keras.Input((8,))
    inner = keras.Model(y, layers.Dense(8)(layers.Dropout(0.5)(layers.Dense(8)(y))))
    x = keras.Input((8,))
    twice = layers.Dense(8)
    model = keras.Model(x, twice(inner(twice(x))))
    dense = 2 * 8 * 8 + 8
    cost = cost_of(model, possible_frontier_of(model))
    assert cost == Cost(*(2 * dense, 8 + 2 * dense) * 2)


def test_the_frontier_says_what_is_shared() -> None:
    model = two_dense()
    keys = {name: key for key, name, _ in leaves_of(model)}
    total = FIRST + SECOND + NOISE_AND_HEAD
    for shared, prefix in (([], 0), (["second"], SECOND), (list(keys), total)):
        frontier = Frontier(frozenset(keys[name] for name in shared), frozenset(), ())
        cost = cost_of(model, frontier)
        assert cost == Cost(*(prefix, total - prefix) * 2)
