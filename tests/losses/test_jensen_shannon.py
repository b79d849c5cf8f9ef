import math

import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses import jensen_shannon, symmetric_kl

from . import reference
from .divergence_laws import HeadLaws, SwapLaw
from .gradients import value_and_gradients


class TestJensenShannon(HeadLaws, SwapLaw):
    function = staticmethod(jensen_shannon)

    @staticmethod
    def expected(a, b, from_logits):
        logs = [reference.softmax_logs(x, from_logits) for x in (a, b)]
        return reference.jensen_shannon(*logs)

    @staticmethod
    def plain(a, b):
        log_p, log_q = ops.log_softmax(a), ops.log_softmax(b)
        p, q = ops.exp(log_p), ops.exp(log_q)
        log_m = ops.log((p + q) / 2)
        return 0.5 * ops.sum(p * (log_p - log_m) + q * (log_q - log_m), axis=-1)


@pytest.mark.parametrize("size", [1e2, 1e4, math.inf])
def test_it_is_bounded_by_log_2_with_a_finite_gradient(size):
    a, b = np.array([0.0, -size], "float32"), np.array([-size, 0.0], "float32")
    value, found = value_and_gradients(jensen_shannon, a, b)
    assert value == pytest.approx(math.log(2), rel=1e-6)
    assert np.all(np.isfinite(found))


def test_near_agreement_it_is_a_quarter_of_the_symmetric_divergence():
    a = np.array([1.0, 0.0, -1.0], "float32")
    b = a + np.array([1e-3, 0.0, 0.0], "float32")
    assert float(symmetric_kl(a, b) / jensen_shannon(a, b)) == pytest.approx(4, rel=1e-3)
