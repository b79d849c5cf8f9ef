import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf._keras import set_mask
from rdrop_tf.losses.reduction import REDUCTIONS, align, weighting

VALUES = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
WEIGHT = np.random.default_rng(1).random((4, 3)).astype("float32")
MASK = np.random.default_rng(2).random((4, 3)) < 0.6


class Given(keras.losses.Loss):
    """A loss whose values are the predictions: what is left is Keras' own reduction."""

    def call(self, y_true, y_pred):
        return y_pred


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("mask", [None, MASK])
def test_numerator_and_denominator_make_keras_reduction(reduction, weight, mask):
    values = ops.convert_to_tensor(VALUES)
    if mask is not None:
        set_mask(values, ops.convert_to_tensor(mask))
    expected = float(Given(reduction=reduction)(VALUES, values, weight))
    weights = weighting(values, weight, mask, reduction)
    found = float(weights.sum(values)) / float(weights.denominator)
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_mask_by_example_counts_all_its_positions():
    mask = np.array([True, False, True, True])
    weights = weighting(ops.convert_to_tensor(VALUES), None, mask, "mean")
    assert float(weights.denominator) == 9
    assert float(weights.sum(ops.convert_to_tensor(VALUES))) == pytest.approx(
        float(VALUES[mask].sum()), rel=1e-6
    )


def test_a_weight_of_zero_removes_even_infinity_and_nan():
    values = ops.convert_to_tensor(np.array([1.0, np.inf, np.nan], "float32"))
    weights = weighting(values, np.array([2.0, 0.0, 0.0], "float32"), None, "sum")
    assert float(weights.sum(values)) == 2


def test_without_a_mask_a_weight_of_zero_still_counts_as_a_position():
    """As in Keras: weights scale a mean over positions, they do not choose them."""
    values = ops.convert_to_tensor(np.ones(4, "float32"))
    weight = np.array([1.0, 0.0, 0.0, 1.0], "float32")
    assert float(weighting(values, weight, None, "sum_over_batch_size").denominator) == 4
    assert float(weighting(values, weight, None, "mean_with_sample_weight").denominator) == 2


def test_unknown_reduction():
    with pytest.raises(ValueError, match=r"`reduction` must be one of .* reduction='median'"):
        weighting(ops.convert_to_tensor(VALUES), None, None, "median")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((4,), (4, 1)), ((4, 1), (4, 1)), ((4, 3), (4, 3)), ((4, 3, 1), (4, 3)), ((), (1, 1))],
)
def test_align_gives_as_many_axes_as_the_values_have(shape, expected):
    assert tuple(align(np.ones(shape, "float32"), VALUES, "weight").shape) == expected


@pytest.mark.parametrize("shape", [(3,), (4, 2), (3, 4), (4, 3, 2)])
def test_align_refuses_what_fits_no_position(shape):
    words = "`mask` must have one value per example or per position of the loss. Received: mask"
    with pytest.raises(ValueError, match=f"{words} of shape .* for losses of shape \\(4, 3\\)"):
        align(np.ones(shape, "float32"), VALUES, "mask")
