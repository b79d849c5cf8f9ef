"""Estimates of operations, against counts by hand."""

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers, ops

from rdrop_tf.models.flops import UNKNOWN, flops_of
from rdrop_tf.models.graphs import nodes_of

pytestmark = pytest.mark.one_backend


def last_node(shape: tuple[int | None, ...], call: Callable[[Any], Any], dtype: str) -> Any:
    x = keras.Input(shape, dtype=dtype)
    return nodes_of(keras.Model(x, call(x)))[-1]


# By hand: two for each multiply-add, one for each number that comes out.
COUNTS: dict[str, tuple[tuple[int | None, ...], Callable[[Any], Any], float]] = {
    "Dense": ((8,), layers.Dense(3), 2 * 8 * 3 + 3),
    "Dense on tokens": ((5, 8), layers.Dense(3), 5 * (2 * 8 * 3 + 3)),
    "an unknown length": ((None, 8), layers.Dense(3), UNKNOWN * (2 * 8 * 3 + 3)),
    "EinsumDense": ((5, 8), layers.EinsumDense("btd,dh->bth", (5, 3)), 5 * (2 * 8 * 3 + 3)),
    "Conv2D": (
        (8, 8, 3),
        layers.Conv2D(4, 3, padding="same"),
        64 * (2 * 9 * 3 * 4 + 4),
    ),
    "Conv2D with strides": ((8, 8, 3), layers.Conv2D(4, 2, 2), 16 * (2 * 4 * 3 * 4 + 4)),
    "Conv2D in groups": ((8, 8, 4), layers.Conv2D(4, 1, groups=2), 64 * (2 * 2 * 4 + 4)),
    "DepthwiseConv2D": (
        (8, 8, 3),
        layers.DepthwiseConv2D(3, padding="same"),
        64 * (2 * 9 * 3 + 3),
    ),
    "Conv2DTranspose": (
        (4, 4, 3),
        layers.Conv2DTranspose(2, 2, 2),
        16 * 2 * 4 * 3 * 2 + 64 * 2,
    ),
    "LSTM": ((5, 8), layers.LSTM(4), 5 * 2 * (8 + 4) * 16 + 4),
    "attention": (
        (5, 8),
        lambda x: layers.MultiHeadAttention(2, 4)(x, x),
        4 * 5 * (2 * 8 * 8) + 4 * 5 * 5 * 8 + 5 * 8,
    ),
    "matmul": ((5, 8), lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1))), 2 * 25 * 8 + 25),
    "einsum": ((5, 8), lambda x: ops.einsum("btd,bsd->bts", x, x), 2 * 25 * 8 + 25),
    "elementwise": ((5, 8), ops.tanh, 40),
    "a nested Dense in a layer": (
        (5, 8),
        layers.TimeDistributed(layers.Dense(3)),
        5 * (2 * 8 * 3 + 3),
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_by_hand(name: str) -> None:
    shape, call, expected = COUNTS[name]
    assert flops_of(last_node(shape, call, "float32")) == expected


def test_looking_up_is_free() -> None:
    assert flops_of(last_node((5,), layers.Embedding(100, 8), "int32")) == 0.0
