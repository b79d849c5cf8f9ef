"""The Jensen-Shannon divergence, bounded by log 2."""

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.arithmetic import at_least
from rdrop_tf.losses.checks import check_last_axis, check_same_shape
from rdrop_tf.losses.differences import last_argument, log_ratio
from rdrop_tf.losses.log_probabilities import log_probabilities


def jensen_shannon(a: Tensor, b: Tensor, from_logits: bool = True) -> Tensor:
    """Computes the Jensen-Shannon divergence of two predictions over the classes.

    Formula, with P and Q the class distributions and M = ½(P + Q):

        D = ½ KL(P‖M) + ½ KL(Q‖M)

    It lies between 0 and log 2 and stays finite where one pass rules a class out. Near
    agreement it is a quarter of `symmetric_kl`, so alpha has to be four times as large for
    the same pull.

    Args:
        a: Logits or probabilities of the first pass, shape (..., classes).
        b: The same of the second pass, of the same shape.
        from_logits: Whether `a` and `b` are logits (the default) or probabilities.

    Returns:
        The divergence in nats per position, shape (...).

    Raises:
        ValueError: If the shapes differ or there is no axis of classes.

    Example:
    >>> from rdrop_tf.losses import jensen_shannon
    >>> print(round(float(jensen_shannon([1.0, 0.0], [0.0, 1.0], from_logits=False)), 4))
    0.6931
    """
    a, b = check_same_shape(a, b)
    check_last_axis(a)
    return jensen_shannon_of_logs(
        log_probabilities(a, from_logits), log_probabilities(b, from_logits)
    )


@ops.custom_gradient
def jensen_shannon_of_logs(log_p: Tensor, log_q: Tensor) -> Tensor:
    """The same from log-probabilities, with the gradient written out."""
    ratio = log_ratio(log_p, log_q)
    to_p = ops.exp(log_p) * _over_mean(ratio)
    to_q = ops.exp(log_q) * _over_mean(-ratio)

    def gradient(*args: Tensor, upstream: Tensor | None = None) -> tuple[Tensor, Tensor]:
        half = 0.5 * ops.expand_dims(last_argument(args, upstream), -1)
        return half * to_p, half * to_q

    return 0.5 * ops.sum(to_p + to_q, axis=-1), gradient


def _over_mean(ratio: Tensor) -> Tensor:
    """Returns log p - log m from log p - log q: exactly 0, and precise, where p = q.

    Below a ratio of -80 p is 1e-35 of m, and what it is multiplied with no longer matters.
    """
    return -ops.log1p(0.5 * ops.expm1(-at_least(ratio, -80.0)))
