"""The Kullback-Leibler divergence in one direction."""

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.arithmetic import at_least
from rdrop_tf.losses.checks import check_last_axis, check_same_shape
from rdrop_tf.losses.differences import finite_or_zero, last_argument, log_ratio
from rdrop_tf.losses.log_probabilities import log_probabilities


def kl_forward(a: Tensor, b: Tensor, from_logits: bool = True) -> Tensor:
    """Computes KL(P‖Q) of two predictions, summed over the classes.

    Formula, with P the class distribution of `a` and Q that of `b`:

        D = Σ_c p_c (log p_c - log q_c)

    Not symmetric: the pass given first is the reference. The paper uses `symmetric_kl`.
    A class with p = 0 adds 0; one with q = 0 and p > 0 makes the divergence infinite.

    Args:
        a: Logits or probabilities of the first pass, shape (..., classes).
        b: The same of the second pass, of the same shape.
        from_logits: Whether `a` and `b` are logits (the default) or probabilities.

    Returns:
        The divergence in nats per position, shape (...), at least 0.

    Raises:
        ValueError: If the shapes differ or there is no axis of classes.

    Example:
    >>> from rdrop_tf.losses import kl_forward
    >>> print(round(float(kl_forward([0.5, 0.5], [0.25, 0.75], from_logits=False)), 4))
    0.1438
    """
    a, b = check_same_shape(a, b)
    check_last_axis(a)
    return kl_forward_of_logs(log_probabilities(a, from_logits), log_probabilities(b, from_logits))


@ops.custom_gradient
def kl_forward_of_logs(log_p: Tensor, log_q: Tensor) -> Tensor:
    """The same from log-probabilities, with the gradient written out.

    Summed as p (log p - log q) - p + q, which is the same for distributions. So every class
    adds 0 or more, and equal passes give exactly 0 with a gradient of exactly 0.
    """
    p, q = ops.exp(log_p), ops.exp(log_q)
    ratio = log_ratio(log_p, log_q)
    finite = finite_or_zero(ratio)
    gap = q - p
    near = p * (finite + ops.expm1(-at_least(finite, -1.0)))
    terms = ops.where(ratio < -1.0, p * finite + gap, near)
    terms = ops.where(ops.equal(ratio, float("inf")), ops.full_like(p, float("inf")), terms)

    def gradient(*args: Tensor, upstream: Tensor | None = None) -> tuple[Tensor, Tensor]:
        up = ops.expand_dims(last_argument(args, upstream), -1)
        return up * p * finite, up * gap

    return ops.sum(terms, axis=-1), gradient
