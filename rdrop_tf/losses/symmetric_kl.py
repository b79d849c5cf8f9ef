"""The divergence of the paper: half the sum of both Kullback-Leibler divergences."""

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.checks import check_last_axis, check_same_shape
from rdrop_tf.losses.differences import finite_or_zero, last_argument, log_ratio
from rdrop_tf.losses.log_probabilities import log_probabilities


def symmetric_kl(a: Tensor, b: Tensor, from_logits: bool = True) -> Tensor:
    """Computes ½(KL(P‖Q) + KL(Q‖P)) of two predictions, summed over the classes.

    Formula, with P and Q the class distributions of the two passes (arXiv 2106.14448,
    Eq. 2):

        D = ½ Σ_c (p_c - q_c) (log p_c - log q_c)

    Computed from log-softmax in float32 (float64 for float64), never from clipped
    probabilities: `keras.losses.kl_divergence` clips at 1e-7 and returns 16 for the example
    below, with no gradient. The gradient flows into both arguments.

    A class that both passes rule out (-inf) adds 0. A class that only one of them rules
    out makes the divergence infinite, as the definition says.

    Args:
        a: Logits or probabilities of the first pass, shape (..., classes).
        b: The same of the second pass, of the same shape.
        from_logits: Whether `a` and `b` are logits (the default) or probabilities.

    Returns:
        The divergence in nats per position, shape (...), at least 0.

    Raises:
        ValueError: If the shapes differ or there is no axis of classes.

    Example:
    >>> from rdrop_tf.losses import symmetric_kl
    >>> print(round(float(symmetric_kl([60.0, 0.0, 0.0], [0.0, 60.0, 0.0])), 4))
    60.0
    """
    a, b = check_same_shape(a, b)
    check_last_axis(a)
    return symmetric_kl_of_logs(
        log_probabilities(a, from_logits), log_probabilities(b, from_logits)
    )


@ops.custom_gradient
def symmetric_kl_of_logs(log_p: Tensor, log_q: Tensor) -> Tensor:
    """The same from log-probabilities.

    The gradient is written out: automatic differentiation keeps twice as many tensors of
    the size of the logits, and turns 0 * inf into NaN where classes are ruled out.
    """
    p, q = ops.exp(log_p), ops.exp(log_q)
    ratio = log_ratio(log_p, log_q)
    gap = p - q
    # An infinite ratio has one probability at 0 and the other above: infinite by definition,
    # even where the other underflows to 0.
    terms = ops.where(ops.isinf(ratio), ops.full_like(ratio, float("inf")), gap * ratio)

    def gradient(*args: Tensor, upstream: Tensor | None = None) -> tuple[Tensor, Tensor]:
        half = 0.5 * ops.expand_dims(last_argument(args, upstream), -1)
        finite = finite_or_zero(ratio)
        return half * (p * finite + gap), -half * (q * finite + gap)

    return 0.5 * ops.sum(terms, axis=-1), gradient
