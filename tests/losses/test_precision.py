import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses.precision import (
    dtype_of,
    smallest_probability,
    widen,
    widen_probabilities,
    working_dtype,
)

from .gradients import gradients


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "int32", "uint8", "bool"])
def test_everything_is_computed_in_float32(dtype):
    x = ops.cast(np.array([0, 1]), dtype)
    assert working_dtype(x) == "float32"
    assert dtype_of(widen(x)) == "float32"


@pytest.mark.usefixtures("float64")
def test_except_for_float64():
    x, y = np.zeros(2, "float64"), np.zeros(2, "float32")
    assert working_dtype(x) == "float64"
    assert working_dtype(y, x) == "float64"
    assert dtype_of(widen(x)) == "float64"


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_smallest_probability_is_not_zero_and_its_slope_is_finite(dtype):
    x = ops.cast(np.ones(1), dtype)
    floor = ops.cast(np.array([smallest_probability(x)]), dtype)
    assert float(ops.cast(floor, "float64")[0]) > 0
    wide = widen(floor)
    assert np.isfinite(float(1 / wide[0]))


def test_probabilities_whose_slope_overflows_float16_get_no_gradient():
    x = np.array([0.0, 6e-8, 1e-5, 1e-4, 0.5, 1.0], "float16")
    (found,) = gradients(widen_probabilities, x)
    np.testing.assert_array_equal(found, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(ops.convert_to_numpy(widen_probabilities(x)), x)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_others_hold_it(dtype):
    def of(x):
        return widen_probabilities(ops.cast(x, dtype))

    (found,) = gradients(of, np.array([0.0, 1e-20, 0.5], "float32"))
    np.testing.assert_array_equal(found, [1, 1, 1])


def test_the_name_of_a_dtype_is_the_same_on_every_backend():
    assert dtype_of(ops.zeros(1, dtype="bfloat16")) == "bfloat16"
    assert dtype_of([1.0, 2.0]) == keras.config.floatx()
