"""From what a head puts out to log-probabilities over the last axis."""

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.precision import smallest_probability, widen


def log_probabilities(predictions: Tensor, from_logits: bool) -> Tensor:
    """Returns log p over the last axis, in float32 (float64 for float64).

    Logits may hold -inf for classes that are ruled out, as long as one class of each row
    is finite. Probabilities below 1e-30 (6.2e-5 for float16, 1e-290 for float64) count as
    that number.
    """
    if from_logits:
        return ops.log_softmax(widen(predictions), axis=-1)
    return ops.log(ops.maximum(widen(predictions), smallest_probability(predictions)))


def log_odds(predictions: Tensor, from_logits: bool) -> Tensor:
    """Returns log p - log(1-p) of each unit; the same floors hold for p and 1-p."""
    x = widen(predictions)
    if from_logits:
        return x
    floor = smallest_probability(predictions)
    return ops.log(ops.maximum(x, floor)) - ops.log(ops.maximum(1.0 - x, floor))
