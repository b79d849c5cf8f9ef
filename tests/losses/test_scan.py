import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses.scan import scan

XS = np.random.default_rng(0).normal(size=(6, 2, 3)).astype("float32")
FACTORS = np.arange(6, dtype="float32")


def body(carry, x):
    """Not commutative, so that the order counts."""
    total, matrix = carry
    y, factor = x
    total = 0.5 * total + ops.sum(y) * factor
    return (total, matrix + factor * y), y * total


def by_hand(xs, factors):
    total, matrix, kept = np.float32(1), np.zeros((2, 3), "float32"), []
    for x, factor in zip(xs, factors, strict=True):
        total = np.float32(0.5) * total + x.sum() * factor
        matrix = matrix + factor * x
        kept.append(x * total)
    return total, matrix, np.stack(kept) if kept else np.zeros((0, 2, 3), "float32")


def scanned(xs, factors):
    carry = ops.convert_to_tensor(np.float32(1)), ops.zeros((2, 3), "float32")
    xs = ops.convert_to_tensor(xs), ops.convert_to_tensor(factors)
    (total, matrix), kept = scan(body, carry, xs, "float32")
    return total, matrix, kept


def check(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(one), other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("steps", [0, 1, 2, 6])
def test_it_is_a_loop(steps):
    check(scanned(XS[:steps], FACTORS[:steps]), by_hand(XS[:steps], FACTORS[:steps]))


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_one_trace_for_any_number_of_steps(jit_compile):
    import tensorflow as tf

    specs = [tf.TensorSpec([None, 2, 3]), tf.TensorSpec([None])]
    of = tf.function(scanned, input_signature=specs, jit_compile=jit_compile, autograph=False)
    # XLA cannot slice a stack of none, not even in a loop that it never enters.
    for steps in (6, 1, 3) if jit_compile else (6, 1, 0, 3):
        check(of(XS[:steps], FACTORS[:steps]), by_hand(XS[:steps], FACTORS[:steps]))
    assert of.experimental_get_tracing_count() == 1
