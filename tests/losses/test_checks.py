import numpy as np
import pytest

from rdrop_tf.losses.checks import (
    check_alpha,
    check_choice,
    check_labels_fit,
    check_last_axis,
    check_same_shape,
)

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize("alpha", [0, 1, 0.5, np.float32(2.0), np.array(3)])
def test_alpha_may_be_any_number_from_zero(alpha):
    assert check_alpha(alpha) == alpha
    assert type(check_alpha(alpha)) is float


def test_alpha_is_named_as_its_argument_is():
    with pytest.raises(ValueError, match=r"`a` must be finite and >= 0\. Received: a=-2"):
        check_alpha(-2, name="a")


def test_choice():
    check_choice("colour", "red", ("red", "green"))
    words = "`colour` must be one of 'red', 'green'. Received: colour='blue'"
    with pytest.raises(ValueError, match=words):
        check_choice("colour", "blue", ("red", "green"))


def test_same_shape():
    a, b = check_same_shape(np.zeros((2, 3)), np.ones((2, 3)))
    assert tuple(a.shape) == tuple(b.shape) == (2, 3)
    for other in ((3, 2), (2,), (2, 3, 1), (1, 3)):
        with pytest.raises(ValueError, match="The two passes must have the same shape"):
            check_same_shape(np.zeros((2, 3)), np.zeros(other))


@pytest.mark.tensorflow
def test_shapes_that_are_not_yet_known_pass():
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([2, None])])
    def of(a, b):
        check_same_shape(a, b)
        with pytest.raises(ValueError, match="must have the same shape"):
            check_same_shape(a, tf.zeros([2, 4]))
        return a

    of.get_concrete_function()


def test_last_axis():
    check_last_axis(np.zeros(1))
    with pytest.raises(ValueError, match="at least one axis, that of the classes or units"):
        check_last_axis(np.zeros(()))


def test_labels_fit():
    check_labels_fit(np.zeros((2, 3)), np.zeros((2, 3)))
    words = r"labels of shape \(2,\) for predictions of shape \(2, 3\)"
    with pytest.raises(ValueError, match=words):
        check_labels_fit(np.zeros(2), np.zeros((2, 3)))
