"""Where R-Drop has nothing to add, training is Keras' own, for every kind of model."""

import warnings

import keras
import numpy as np
import pytest

from rdrop_tf import RDropModel
from rdrop_tf.models import RDropWarning
from tests.models.zoo import CASES, largest_difference, train

BACKEND = keras.backend.backend()
NOT_ON_TORCH = ("several steps a call", "jit")


def cases() -> list[str]:
    return [name for name in CASES if BACKEND != "torch" or name not in NOT_ON_TORCH]


@pytest.mark.parametrize("name", cases())
def test_without_noise_training_is_plain_training(name: str) -> None:
    """Both passes agree, so the divergence and its gradient are 0, at any alpha."""
    case = CASES[name]
    plain, plain_logs = train(case, rate=0.0)
    # Two half gradients in float16 are rounded apart; Keras' own step rounds once.
    tolerance = 1e-4 if name == "half precision" else 1e-7
    for forward in ("two_calls", "concat"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RDropWarning)
            ours, logs = train(case, 0.0, lambda m, f=forward: RDropModel(m, alpha=3.0, forward=f))
        assert largest_difference(plain, ours) <= tolerance, forward
        np.testing.assert_allclose(logs["loss"], plain_logs["loss"], rtol=1e-5)
        # One concatenated product may round its halves differently.
        assert logs["kl"][0] <= (0.0 if forward == "two_calls" else 1e-5)


@pytest.mark.parametrize("name", cases())
def test_alpha_zero_is_plain_training_bit_for_bit(name: str) -> None:
    case = CASES[name]
    plain, plain_logs = train(case, rate=0.3)
    ours, logs = train(case, 0.3, lambda m: RDropModel(m, alpha=0.0))
    assert largest_difference(plain, ours) == 0.0
    assert logs["loss"] == plain_logs["loss"]


def test_plain_training_differs_with_noise_and_alpha() -> None:
    """The tests above would pass for a wrapper that never makes a second pass."""
    plain, _ = train(CASES["functional"], rate=0.3)
    ours, logs = train(CASES["functional"], 0.3, lambda m: RDropModel(m, alpha=3.0))
    assert largest_difference(plain, ours) > 1e-3
    assert logs["kl"][0] > 1e-3
