import math

import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses import bernoulli_kl, symmetric_kl

from . import reference
from .divergence_laws import HeadLaws, SwapLaw
from .gradients import value_and_gradients


class TestBernoulliKl(HeadLaws, SwapLaw):
    function = staticmethod(bernoulli_kl)
    head = staticmethod(ops.sigmoid)
    reference_head = staticmethod(lambda x: np.exp(reference.log_yes_and_no(x)[..., 0]))

    @staticmethod
    def expected(a, b, from_logits):
        logs = [reference.bernoulli_logs(x, from_logits) for x in (a, b)]
        return np.mean(reference.symmetric_kl(*logs), axis=-1)

    @staticmethod
    def plain(a, b):
        p, q = ops.sigmoid(a), ops.sigmoid(b)
        yes = p * (ops.log(p) - ops.log(q)) + q * (ops.log(q) - ops.log(p))
        no = (1 - p) * (ops.log(1 - p) - ops.log(1 - q))
        no = no + (1 - q) * (ops.log(1 - q) - ops.log(1 - p))
        return 0.5 * ops.mean(yes + no, axis=-1)


def test_one_unit_is_a_softmax_of_two_classes():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 1)).astype("float32")
    two_classes = [np.concatenate([x, np.zeros_like(x)], axis=-1) for x in (a, b)]
    np.testing.assert_allclose(
        ops.convert_to_numpy(bernoulli_kl(a, b)),
        ops.convert_to_numpy(symmetric_kl(*two_classes)),
        rtol=2e-6,
    )


def test_a_softmax_divergence_would_not_see_a_single_unit():
    a, b = np.array([[5.0]], "float32"), np.array([[-5.0]], "float32")
    assert float(symmetric_kl(a, b)[0]) == 0
    assert float(bernoulli_kl(a, b)[0]) == pytest.approx(5 * math.tanh(2.5), rel=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_sure_units_keep_their_digits_on_both_sides(sign):
    """Near 1 probabilities have no digits left for their difference; near 0 they have."""
    a, b = np.array([sign * 14.0], "float32"), np.array([sign * 15.5], "float32")
    expected = TestBernoulliKl.expected(a.astype("float64"), b.astype("float64"), True)
    assert float(bernoulli_kl(a, b)) == pytest.approx(float(expected), rel=2e-6)


def test_a_unit_that_only_one_pass_rules_out_is_infinite_without_nan():
    a, b = np.array([-math.inf, 1.0], "float32"), np.array([0.5, 1.0], "float32")
    value, found = value_and_gradients(bernoulli_kl, a, b)
    assert value == math.inf
    assert np.all(np.isfinite(found))
