import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses.arithmetic import at_least, divide_or_zero, mean
from rdrop_tf.losses.precision import dtype_of

from .gradients import gradients, value_and_gradients


@pytest.mark.usefixtures("float64")
def test_float64_keeps_all_its_digits():
    """Keras' own operations of these names lose half of them on JAX or Torch."""
    x = np.random.default_rng(0).random((2, 3, 7))
    np.testing.assert_allclose(ops.convert_to_numpy(mean(x)), x.mean(axis=-1), rtol=1e-15)
    np.testing.assert_allclose(ops.convert_to_numpy(mean(x, 1)), x.mean(axis=1), rtol=1e-15)
    raised = at_least(ops.convert_to_tensor(x), 0.5)
    np.testing.assert_array_equal(ops.convert_to_numpy(raised), np.maximum(x, 0.5))
    divided = divide_or_zero(ops.convert_to_tensor(x), ops.convert_to_tensor(x[::-1].copy()))
    np.testing.assert_allclose(ops.convert_to_numpy(divided), x / x[::-1], rtol=1e-15)
    assert dtype_of(mean(x)) == dtype_of(raised) == dtype_of(divided) == "float64"


def test_no_gradient_below_the_floor():
    (found,) = gradients(lambda x: at_least(x, 1.0), np.array([0.5, 1.0, 2.0], "float32"))
    np.testing.assert_array_equal(found, [0, 1, 1])


def test_division_by_zero_is_zero_with_a_gradient_of_zero():
    a, b = np.array([1.0, 0.0, 3.0], "float32"), np.array([0.0, 0.0, 2.0], "float32")
    value, (to_a, to_b) = value_and_gradients(divide_or_zero, a, b)
    assert value == 1.5
    np.testing.assert_array_equal(to_a, [0, 0, 0.5])
    np.testing.assert_array_equal(to_b, [0, 0, -0.75])
