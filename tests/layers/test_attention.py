"""The attention layers against Keras' own, with the same weights."""

from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf.layers.attention import CrossAttention, SelfAttention

WIDTH, HEADS = 12, 3


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def like_keras(layer: Any, *inputs: np.ndarray) -> Any:
    """Gives a layer random weights, and Keras' attention the same ones."""
    layer(*inputs)
    layer.set_weights([random(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())])
    weights = {v.path.split("/", 1)[-1]: np.asarray(v.value) for v in layer.weights}
    kernels = [w for name, w in weights.items() if name.endswith("kernel")]
    biases = [w for name, w in weights.items() if name.endswith("bias")]
    *projections, output = kernels
    *shifts, output_shift = biases
    by_head = (HEADS, WIDTH // HEADS)
    arrays = []
    for kernel, bias in zip(
        np.split(np.concatenate(projections, 1), 3, axis=1),
        np.split(np.concatenate(shifts), 3),
        strict=True,
    ):
        arrays += [kernel.reshape(WIDTH, *by_head), bias.reshape(by_head)]
    keras_layer = keras.layers.MultiHeadAttention(HEADS, WIDTH // HEADS)
    keras_layer(inputs[0], inputs[-1])
    keras_layer.set_weights([*arrays, output.reshape(*by_head, WIDTH), output_shift])
    return keras_layer


def test_self_attention_is_keras_s() -> None:
    layer, x = SelfAttention(HEADS), random(2, 5, WIDTH)
    same = like_keras(layer, x)
    np.testing.assert_allclose(layer(x), same(x, x), rtol=0, atol=1e-4)
    causal = np.tril(np.ones((1, 1, 5, 5), bool))
    np.testing.assert_allclose(
        layer(x, causal), same(x, x, use_causal_mask=True), rtol=0, atol=1e-4
    )


def test_cross_attention_is_keras_s() -> None:
    layer, x, memory = CrossAttention(HEADS), random(2, 5, WIDTH), random(2, 4, WIDTH, seed=1)
    same = like_keras(layer, x, memory)
    allowed = np.array([[True, True, False, False], [True, True, True, True]])[:, None, None]
    np.testing.assert_allclose(layer(x, memory), same(x, memory), rtol=0, atol=1e-4)
    expected = same(x, memory, attention_mask=np.broadcast_to(allowed[:, 0], (2, 5, 4)))
    np.testing.assert_allclose(layer(x, memory, allowed), expected, rtol=0, atol=1e-4)


def test_a_query_that_may_see_nothing_sees_all_alike() -> None:
    layer, x = SelfAttention(HEADS), random(1, 3, WIDTH)
    same = like_keras(layer, x)
    found = np.asarray(layer(x, np.zeros((1, 1, 1, 3), bool)))
    values = x @ np.asarray(same.get_weights()[4]).reshape(WIDTH, -1)
    mean = (values + same.get_weights()[5].ravel()).mean(1)
    expected = mean @ same.get_weights()[6].reshape(WIDTH, WIDTH) + same.get_weights()[7]
    np.testing.assert_allclose(found, np.tile(expected[:, None], (1, 3, 1)), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", [SelfAttention, CrossAttention])
def test_weights_of_attention_are_dropped_in_training(kind: Any) -> None:
    inputs = (random(1, 6, WIDTH),) * (1 if kind is SelfAttention else 2)
    layer = kind(HEADS, dropout=0.5)
    first, second = (np.asarray(layer(*inputs, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(layer(*inputs), layer(*inputs))
    again = kind.from_config(layer.get_config())
    assert (again.heads, again.dropout) == (HEADS, 0.5)


def test_steps_equal_one_causal_call() -> None:
    layer, x = SelfAttention(HEADS), random(2, 4, WIDTH)
    expected = np.asarray(layer(x, np.tril(np.ones((1, 1, 4, 4), bool))))
    kept = layer.empty(2, 6)
    for p in range(4):
        allowed = np.reshape(np.tile(np.arange(6) <= p, 2), (2, 1, 6, 1))
        y, kept = layer.step(x[:, p : p + 1], keras.ops.convert_to_tensor(p), kept, allowed)
        np.testing.assert_allclose(y, expected[:, p : p + 1], rtol=0, atol=1e-5)
