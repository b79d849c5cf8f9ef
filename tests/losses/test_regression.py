import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses.regression import huber, log_cosh

from .gradients import value_and_gradients

ERRORS = np.array([-1e4, -30.0, -0.7, -1e-3, 0.0, 1e-3, 0.5, 0.7, 30.0, 1e4], "float32")


@pytest.mark.parametrize(
    ("of_error", "of_keras"),
    [
        (huber(0.5), lambda error: keras.losses.huber(0 * error, error, delta=0.5)),
        (huber(1.0), lambda error: keras.losses.huber(0 * error, error)),
        (log_cosh, lambda error: keras.losses.log_cosh(0 * error, error)),
    ],
)
def test_formulas_are_those_of_keras(of_error, of_keras):
    errors = ERRORS[:, None]
    value, (found,) = value_and_gradients(of_error, errors)
    expected_value, (expected,) = value_and_gradients(of_keras, errors)
    assert value == pytest.approx(float(expected_value), rel=1e-6)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    by_error = ops.convert_to_numpy(of_error(ops.convert_to_tensor(errors)))[:, 0]
    np.testing.assert_allclose(
        by_error, ops.convert_to_numpy(of_keras(errors)), rtol=1e-6, atol=1e-7
    )
