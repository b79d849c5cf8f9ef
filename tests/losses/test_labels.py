import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses.labels import message, require_no_bad_labels, valid_labels


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_labels_from_zero_to_one_below_the_number_of_classes_are_valid(dtype):
    labels = ops.convert_to_tensor(np.array([0, 1, 6, 7, 255]).astype(dtype))
    found = ops.convert_to_numpy(valid_labels(labels, 7))
    np.testing.assert_array_equal(found, [True, True, True, False, False])


def test_negative_labels_are_not_valid():
    found = valid_labels(ops.convert_to_tensor(np.array([-1, -100, 0], "int32")), 3)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), [False, False, True])


def test_the_sentence_names_the_rule_the_cure_and_what_came_in():
    assert message(-1, 12, 10) == (
        "Labels must be whole numbers from 0 to 10 - 1, one for each of the 10 classes of the "
        "predictions; give places without a label a `sample_weight` of 0, or the loss an "
        "`ignore_class`. Received: labels from -1 to 12"
    )


def test_only_labels_marked_as_bad_are_complained_about():
    labels = ops.convert_to_tensor(np.array([-7, 1, 50], "int32"))
    bad = ops.convert_to_tensor(np.array([False, False, True]))
    require_no_bad_labels(labels, ops.zeros_like(bad), 10)
    with pytest.raises(ValueError, match="Received: labels from 50 to 50"):
        require_no_bad_labels(labels, bad, 10)
