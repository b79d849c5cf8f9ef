import math

import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses import kl_forward, symmetric_kl

from . import reference
from .divergence_laws import HeadLaws
from .gradients import value_and_gradients


class TestKlForward(HeadLaws):
    function = staticmethod(kl_forward)

    @staticmethod
    def expected(a, b, from_logits):
        return reference.kl(*[reference.softmax_logs(x, from_logits) for x in (a, b)])

    @staticmethod
    def plain(a, b):
        log_p, log_q = ops.log_softmax(a), ops.log_softmax(b)
        return ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)


def test_both_directions_make_the_symmetric_divergence():
    a, b = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
    both = (kl_forward(a, b) + kl_forward(b, a)) / 2
    np.testing.assert_allclose(
        ops.convert_to_numpy(both), ops.convert_to_numpy(symmetric_kl(a, b)), rtol=2e-6
    )


def test_only_the_second_pass_may_not_rule_out_a_class():
    some, all_of_them = np.array([0.0, -math.inf], "float32"), np.zeros(2, "float32")
    assert float(kl_forward(some, all_of_them)) == pytest.approx(math.log(2), rel=1e-6)
    value, found = value_and_gradients(kl_forward, all_of_them, some)
    assert value == math.inf
    assert np.all(np.isfinite(found))
