import math

import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses.cross_entropy import (
    binary_cross_entropy,
    dense_cross_entropy,
    smooth,
    sparse_cross_entropy,
)

from .gradients import value_and_gradients

LOGITS = np.random.default_rng(0).normal(size=(2, 3, 7)).astype("float32")
LABELS = np.array([[0, 1, 2], [6, 5, 4]])


def to_numpy(x):
    return ops.convert_to_numpy(x)


def test_values_are_those_of_keras_where_those_are_finite():
    log_p = ops.log_softmax(LOGITS)
    sparse = sparse_cross_entropy(LABELS, log_p, ops.ones_like(LABELS, dtype="bool"))
    dense = dense_cross_entropy(ops.one_hot(LABELS, 7), log_p)
    expected = keras.losses.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)
    np.testing.assert_allclose(to_numpy(sparse), to_numpy(expected), rtol=1e-6)
    np.testing.assert_allclose(to_numpy(dense), to_numpy(expected), rtol=1e-6)


def test_a_label_that_is_no_class_is_nan_and_spoils_no_other():
    log_p = ops.log_softmax(LOGITS[0])
    valid = np.array([True, False, False])
    found = to_numpy(sparse_cross_entropy(np.array([0, -1, 10**6]), log_p, valid))
    assert np.array_equal(np.isnan(found), ~valid)


def test_classes_without_a_share_may_be_ruled_out():
    """Keras multiplies 0 by -inf there."""
    log_p = np.array([-math.inf, math.log(0.25), math.log(0.75)], "float32")
    targets = ops.convert_to_tensor([0.0, 1.0, 0.0])
    value, (found,) = value_and_gradients(lambda x: dense_cross_entropy(targets, x), log_p)
    assert value == pytest.approx(math.log(4), rel=1e-6)
    np.testing.assert_array_equal(found, [0, -1, 0])


def test_a_label_that_is_ruled_out_is_infinitely_wrong():
    targets, log_p = ops.convert_to_tensor([[1.0, 0.0], [-math.inf, 0.0]])
    assert float(dense_cross_entropy(targets, log_p)) == math.inf


@pytest.mark.parametrize("x", [0.0, 3.0, -3.0, 100.0, -100.0, 1e4, -1e4])
def test_binary_cross_entropy_of_sure_and_unsure_units(x):
    x32 = np.array([x], "float32")
    for yes in (0.0, 0.3, 1.0):
        value, (found,) = value_and_gradients(
            lambda x, yes=yes: binary_cross_entropy(yes + 0 * x, 1 - yes + 0 * x, x), x32
        )
        expected = yes * np.logaddexp(0, -x) + (1 - yes) * np.logaddexp(0, x)
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-7)
        slope = 1 / (1 + math.exp(-max(min(x, 700), -700))) - yes
        assert found[0] == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_smoothing_mixes_with_the_uniform_distribution():
    targets = ops.convert_to_tensor([1.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(
        to_numpy(smooth(targets, 0.2, 4)), [0.85, 0.05, 0.05, 0.05], rtol=1e-6
    )
    assert smooth(targets, 0.0, 4) is targets
