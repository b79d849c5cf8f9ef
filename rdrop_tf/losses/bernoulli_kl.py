"""The symmetric divergence of yes-or-no predictions."""

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.arithmetic import mean
from rdrop_tf.losses.checks import check_last_axis, check_same_shape
from rdrop_tf.losses.differences import finite_or_zero, last_argument, log_ratio
from rdrop_tf.losses.log_probabilities import log_odds


def bernoulli_kl(a: Tensor, b: Tensor, from_logits: bool = True) -> Tensor:
    """Computes ½(KL + KL) of each unit's Bernoulli distribution, averaged over the units.

    Formula, with p and q the probabilities of "yes" of one unit in the two passes:

        D = mean_units ½ (p - q) (logit p - logit q)

    For sigmoid heads, with one unit or many labels; the mean over the last axis is the
    one `keras.losses.BinaryCrossentropy` takes, so both terms weigh alike. A softmax
    divergence over independent labels would be wrong, and 0 for a single unit.

    Args:
        a: Logits or probabilities of the first pass, shape (..., units).
        b: The same of the second pass, of the same shape.
        from_logits: Whether `a` and `b` are logits (the default) or probabilities.

    Returns:
        The divergence in nats per position, shape (...), at least 0.

    Raises:
        ValueError: If the shapes differ or there is no axis of units.

    Example:
    >>> from rdrop_tf.losses import bernoulli_kl
    >>> print(round(float(bernoulli_kl([0.75], [0.25], from_logits=False)), 4))
    0.5493
    """
    a, b = check_same_shape(a, b)
    check_last_axis(a)
    return mean(bernoulli_kl_by_unit(a, b, from_logits))


def bernoulli_kl_by_unit(a: Tensor, b: Tensor, from_logits: bool) -> Tensor:
    """The same for every unit, not averaged."""
    return _of_odds(log_odds(a, from_logits), log_odds(b, from_logits))


@ops.custom_gradient
def _of_odds(x: Tensor, y: Tensor) -> Tensor:
    """The same from log-odds, with the gradient written out: it has no 0 * inf."""
    ratio = log_ratio(x, y)
    # p - q = (1-q) - (1-p): of the two, the one whose parts have not both rounded to 1.
    gap = ops.where(x + y > 0, ops.sigmoid(-y) - ops.sigmoid(-x), ops.sigmoid(x) - ops.sigmoid(y))
    terms = ops.where(ops.isinf(ratio), ops.full_like(ratio, float("inf")), gap * ratio)

    def gradient(*args: Tensor, upstream: Tensor | None = None) -> tuple[Tensor, Tensor]:
        half, finite = 0.5 * last_argument(args, upstream), finite_or_zero(ratio)
        to_x = ops.sigmoid(x) * ops.sigmoid(-x) * finite + gap
        to_y = ops.sigmoid(y) * ops.sigmoid(-y) * finite + gap
        return half * to_x, -half * to_y

    return 0.5 * terms, gradient
