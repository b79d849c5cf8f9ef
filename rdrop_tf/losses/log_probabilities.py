"""From what a head puts out to log-probabilities over the last axis."""

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.arithmetic import at_least
from rdrop_tf.losses.precision import smallest_probability, widen, widen_probabilities


def log_probabilities(predictions: Tensor, from_logits: bool) -> Tensor:
    """Returns log p over the last axis, in float32 (float64 for float64).

    Logits may hold -inf for classes that are ruled out, as long as one class of each row
    is finite. Probabilities below 1e-30 (6e-8 for float16, 1e-290 for float64) count as
    that number.
    """
    if from_logits:
        return ops.log_softmax(widen(predictions), axis=-1)
    p = widen_probabilities(predictions)
    return ops.log(at_least(p, smallest_probability(predictions)))


def log_yes_and_no(predictions: Tensor, from_logits: bool) -> Tensor:
    """Returns log p and log(1-p) of each unit in a new last axis; the same floors hold."""
    if from_logits:
        x = widen(predictions)
        return ops.stack([ops.log_sigmoid(x), ops.log_sigmoid(-x)], axis=-1)
    p = widen_probabilities(predictions)
    both = ops.stack([p, 1.0 - p], axis=-1)
    return ops.log(at_least(both, smallest_probability(predictions)))


def log_odds(predictions: Tensor, from_logits: bool) -> Tensor:
    """Returns log p - log(1-p) of each unit; the same floors hold for p and 1-p."""
    if from_logits:
        return widen(predictions)
    p, floor = widen_probabilities(predictions), smallest_probability(predictions)
    return ops.log(at_least(p, floor)) - ops.log(at_least(1.0 - p, floor))
