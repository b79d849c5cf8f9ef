import numpy as np
from keras import ops

from rdrop_tf.losses import squared_difference

from . import reference
from .divergence_laws import SwapLaw
from .gradients import gradients


class TestSquaredDifference(SwapLaw):
    function = staticmethod(squared_difference)
    takes_probabilities = False
    styles_with_infinity = ()

    @staticmethod
    def expected(a, b, from_logits):
        return reference.squared_difference(a, b)

    @staticmethod
    def plain(a, b):
        return ops.mean((a - b) ** 2, axis=-1)


def test_gradient_pulls_the_passes_together():
    to_a, to_b = gradients(
        squared_difference, np.array([[3.0]], "float32"), np.array([[1.0]], "float32")
    )
    assert to_a == 4
    assert to_b == -4
