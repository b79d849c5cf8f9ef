import math

import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses import symmetric_kl

from . import reference
from .divergence_laws import HeadLaws, SwapLaw
from .gradients import gradients, value_and_gradients

ONE_SURE, OTHER_SURE = np.array([60.0, 0.0, 0.0]), np.array([0.0, 60.0, 0.0])


class TestSymmetricKl(HeadLaws, SwapLaw):
    function = staticmethod(symmetric_kl)

    @staticmethod
    def expected(a, b, from_logits):
        logs = [reference.softmax_logs(x, from_logits) for x in (a, b)]
        return reference.symmetric_kl(*logs)

    @staticmethod
    def plain(a, b):
        log_p, log_q = ops.log_softmax(a), ops.log_softmax(b)
        return 0.5 * ops.sum((ops.exp(log_p) - ops.exp(log_q)) * (log_p - log_q), axis=-1)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_two_sure_passes_are_as_far_apart_as_their_logits(dtype):
    value, (to_one, to_other) = value_and_gradients(
        symmetric_kl, ONE_SURE.astype(dtype), OTHER_SURE.astype(dtype)
    )
    assert value == pytest.approx(60, rel=1e-6)
    np.testing.assert_allclose(to_one, [0.5, -0.5, 0], atol=1e-6)
    np.testing.assert_allclose(to_other, [-0.5, 0.5, 0], atol=1e-6)


def test_keras_own_divergence_is_clipped_there():
    """The reason for this package to have one: 16 instead of 60, and no way back."""

    def clipped(a, b):
        p, q = ops.softmax(a), ops.softmax(b)
        return 0.5 * (keras.losses.kl_divergence(p, q) + keras.losses.kl_divergence(q, p))

    value, found = value_and_gradients(
        clipped, ONE_SURE.astype("float32"), OTHER_SURE.astype("float32")
    )
    assert value == pytest.approx(16.1, abs=0.1)
    np.testing.assert_allclose(found, 0, atol=1e-20)


def test_a_class_ruled_out_in_both_passes_adds_nothing():
    inf = math.inf
    a = np.array([[1.0, -inf, 2.0], [-inf, -inf, 3.0]], "float32")
    b = np.array([[0.5, -inf, 0.0], [-inf, -inf, -3.0]], "float32")
    with_it = ops.convert_to_numpy(symmetric_kl(a, b))
    without_it = ops.convert_to_numpy(symmetric_kl(a[:1, ::2], b[:1, ::2]))
    assert with_it[0] == pytest.approx(without_it[0], rel=1e-6)
    assert with_it[1] == 0


def test_a_class_ruled_out_in_one_pass_is_infinite_with_a_gradient_that_is_not_nan():
    a = np.array([[1.0, -math.inf, 2.0]], "float32")
    b = np.array([[0.5, 1.0, 0.0]], "float32")
    value, found = value_and_gradients(symmetric_kl, a, b)
    assert value == math.inf
    assert np.all(np.isfinite(found))


def test_it_is_infinite_also_where_the_other_probability_underflows():
    a, b = np.array([0.0, -math.inf], "float32"), np.array([0.0, -1000.0], "float32")
    assert float(symmetric_kl(a, b)) == math.inf


def test_a_probability_of_zero_counts_as_the_smallest_one():
    a, b = np.array([1.0, 0.0], "float32"), np.array([0.5, 0.5], "float32")
    expected = (0.5 * math.log(2) + 0.5 * math.log(0.5 / 1e-30)) / 2
    assert float(symmetric_kl(a, b, from_logits=False)) == pytest.approx(expected, rel=1e-6)


def test_gradient_flows_into_both_passes():
    a, b = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
    to_a, to_b = gradients(symmetric_kl, a, b)
    assert np.all(np.any(to_a != 0, axis=-1))
    assert np.all(np.any(to_b != 0, axis=-1))


def test_classes_are_summed_and_never_averaged():
    """Splitting each class in halves leaves the divergence as it is."""
    p, q = np.random.default_rng(0).dirichlet(np.ones(4), 2)
    halves = [np.repeat(x / 2, 2) for x in (p, q)]
    whole = float(symmetric_kl(p, q, from_logits=False))
    assert float(symmetric_kl(*halves, from_logits=False)) == pytest.approx(whole, rel=1e-5)


def test_a_vocabulary_of_ten_thousand_words():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(2, 10_007)) * 3).astype("float32").reshape(2, 1, -1)
    expected = TestSymmetricKl.expected(a.astype("float64"), b.astype("float64"), True)
    np.testing.assert_allclose(ops.convert_to_numpy(symmetric_kl(a, b)), expected, rtol=2e-6)
