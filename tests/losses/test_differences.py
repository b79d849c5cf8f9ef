import math

import numpy as np
from keras import ops

from rdrop_tf.losses.differences import finite_or_zero, last_argument, log_ratio


def test_a_ratio_of_two_impossible_events_is_one():
    inf = math.inf
    log_p = ops.convert_to_tensor([-inf, -inf, 0.0, -1.0])
    log_q = ops.convert_to_tensor([-inf, 0.0, -inf, -3.0])
    found = log_ratio(log_p, log_q)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), [0, -inf, inf, 2])


def test_infinities_of_both_signs_become_zero():
    found = finite_or_zero(np.array([math.inf, -math.inf, 1.5]))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), [0, 0, 1.5])


def test_the_upstream_gradient_comes_by_name_or_last():
    assert last_argument(("variables", "gradient"), None) == "gradient"
    assert last_argument((), "gradient") == "gradient"
