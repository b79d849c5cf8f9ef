import math

import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses.log_probabilities import log_odds, log_probabilities, log_yes_and_no

from . import reference

X = np.random.default_rng(0).normal(size=(2, 3, 7)).astype("float32")


def to_numpy(x):
    return ops.convert_to_numpy(x)


def test_logits_and_their_probabilities_have_the_same_logarithms():
    expected = reference.log_softmax(X.astype("float64"))
    found = to_numpy(log_probabilities(X, from_logits=True))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    p = np.exp(expected).astype("float32")
    found = to_numpy(log_probabilities(p, from_logits=False))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_units_of_logits_and_of_probabilities():
    expected = reference.log_yes_and_no(X.astype("float64"))
    p = np.exp(expected[..., 0]).astype("float32")
    for found in (log_yes_and_no(X, True), log_yes_and_no(p, False)):
        np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(to_numpy(log_odds(X, True)), X)
    np.testing.assert_allclose(to_numpy(log_odds(p, False)), X, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("dtype", "floor"),
    [("float16", 2**-24), ("bfloat16", 1e-30), ("float32", 1e-30), ("float64", 1e-290)],
)
def test_a_probability_of_zero_counts_as_the_floor(dtype, floor):
    p = ops.cast(np.array([0.0, 1.0]), dtype)
    low = math.log(floor)
    assert to_numpy(log_probabilities(p, False)) == pytest.approx([low, 0], rel=1e-6)
    assert to_numpy(log_odds(p, False)) == pytest.approx([low, -low], rel=1e-6)
    assert to_numpy(log_yes_and_no(p, False)).tolist() == [
        pytest.approx([low, 0], rel=1e-6),
        pytest.approx([0, low], rel=1e-6),
    ]


def test_ruled_out_logits_stay_ruled_out():
    found = to_numpy(log_probabilities(np.array([0.0, -math.inf, 0.0], "float32"), True))
    np.testing.assert_allclose(found, [-math.log(2), -math.inf, -math.log(2)], rtol=1e-6)
    found = to_numpy(log_yes_and_no(np.array([-math.inf, math.inf], "float32"), True))
    np.testing.assert_array_equal(found, [[-math.inf, 0], [0, -math.inf]])
