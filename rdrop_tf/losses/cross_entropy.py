"""Cross-entropies from log-probabilities and logits, safe where classes are ruled out.

Keras' own functions multiply one-hot labels by log-probabilities, and 0 * -inf is NaN. The
values here are theirs wherever theirs are finite.
"""

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.arithmetic import mean


def sparse_cross_entropy(labels: Tensor, log_p: Tensor, valid: Tensor) -> Tensor:
    """Computes -log p[label]; NaN where a label is not valid, so that it cannot pass.

    Args:
        labels: Integer classes, shape (...).
        log_p: Log-probabilities, shape (..., classes).
        valid: Which labels are classes, shape (...).

    Returns:
        The cross-entropy per position, shape (...).
    """
    safe = ops.where(valid, labels, ops.zeros_like(labels))
    picked = ops.take_along_axis(log_p, ops.expand_dims(safe, -1), axis=-1)
    values = -ops.squeeze(picked, axis=-1)
    return ops.where(valid, values, ops.full_like(values, float("nan")))


def smoothed_sparse_cross_entropy(
    labels: Tensor, log_p: Tensor, valid: Tensor, smoothing: float
) -> Tensor:
    """Computes (1-ε) times `sparse_cross_entropy`, and -ε times the mean of log p.

    Args:
        labels: Integer classes, shape (...).
        log_p: Log-probabilities, shape (..., classes).
        valid: Which labels are classes, shape (...).
        smoothing: ε.

    Returns:
        The cross-entropy per position, shape (...).
    """
    values = sparse_cross_entropy(labels, log_p, valid)
    return (1.0 - smoothing) * values - smoothing * mean(log_p) if smoothing else values


def dense_cross_entropy(targets: Tensor, log_p: Tensor) -> Tensor:
    """Computes -Σ t_c log p_c over the last axis; classes with t_c = 0 add exactly 0."""
    absent = ops.equal(targets, 0)
    return -ops.sum(targets * ops.where(absent, ops.zeros_like(log_p), log_p), axis=-1)


def binary_cross_entropy(yes: Tensor, no: Tensor, logits: Tensor) -> Tensor:
    """Computes -yes log σ(x) - no log(1-σ(x)) of each unit."""
    return -_times(yes, ops.log_sigmoid(logits)) - _times(no, ops.log_sigmoid(-logits))


def smooth(targets: Tensor, amount: float, classes: int | Tensor) -> Tensor:
    """Mixes targets with the uniform distribution over the classes."""
    if not amount:
        return targets
    return targets * (1.0 - amount) + amount / ops.cast(classes, targets.dtype)


def _times(factor: Tensor, x: Tensor) -> Tensor:
    """0 times anything is 0."""
    return factor * ops.where(ops.equal(factor, 0), ops.zeros_like(x), x)
