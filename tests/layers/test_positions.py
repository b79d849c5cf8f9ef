"""Positions by themselves; inside a Transformer see tests/text/test_transformer.py."""

from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf.layers.positions import LearnedPositions, SinusoidalPositions, sinusoids


@pytest.mark.parametrize("width", [1, 2, 3, 8, 9])
def test_sines_then_cosines(width: int) -> None:
    table, half = sinusoids(1500, width), width // 2
    for p in (0, 1, 1499):
        for i in range(half):
            angle = p / 10000.0 ** (i / max(half - 1, 1))
            np.testing.assert_allclose(table[p, [i, half + i]], [np.sin(angle), np.cos(angle)])
    assert table.shape == (1500, width)
    assert not table[:, 2 * half :].any()


def test_each_position_gets_its_row() -> None:
    layer, x = SinusoidalPositions(), np.random.default_rng(0).normal(size=(2, 2000, 6))
    expected = x + sinusoids(2000, 6)
    np.testing.assert_allclose(layer(x.astype("float32")), expected, rtol=0, atol=1e-6)
    one = layer.one(x[:, 1998:1999].astype("float32"), keras.ops.convert_to_tensor(1998), 2000)
    np.testing.assert_allclose(one, expected[:, 1998:1999], rtol=0, atol=1e-6)


@pytest.mark.tensorflow
def test_a_length_that_the_graph_learns_late() -> None:
    import tensorflow as tf

    layer = SinusoidalPositions()
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, 7))])
    found = graph(np.zeros((1, 2000, 7), "float32"))
    np.testing.assert_allclose(found[0], sinusoids(2000, 7), rtol=0, atol=1e-6)


def test_learned_positions() -> None:
    layer, x = LearnedPositions(5), np.random.default_rng(0).normal(size=(2, 3, 4))
    y = np.asarray(layer(x.astype("float32")))
    rows = layer.get_weights()[0]
    np.testing.assert_allclose(y, x + rows[:3], rtol=0, atol=1e-6)
    one = layer.one(x[:, :1].astype("float32"), keras.ops.convert_to_tensor(4), 5)
    np.testing.assert_allclose(one, x[:, :1] + rows[4], rtol=0, atol=1e-6)
    assert LearnedPositions.from_config(layer.get_config()).max_length == 5


@pytest.mark.parametrize("max_length", [0, 2.5])
def test_a_wrong_number_of_positions_is_refused(max_length: Any) -> None:
    with pytest.raises(ValueError, match=f"whole number >= 1. Received: max_length={max_length}"):
        LearnedPositions(max_length)


def test_longer_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="Received: 6 tokens and max_length=5; cut it, or"):
        LearnedPositions(5)(np.zeros((1, 6, 4), "float32"))
