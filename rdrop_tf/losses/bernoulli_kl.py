"""The symmetric divergence of yes-or-no predictions."""

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.checks import check_last_axis, check_same_shape
from rdrop_tf.losses.differences import log_ratio
from rdrop_tf.losses.log_probabilities import log_odds
from rdrop_tf.losses.precision import widen


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
    return ops.mean(bernoulli_kl_by_unit(a, b, from_logits), axis=-1)


def bernoulli_kl_by_unit(a: Tensor, b: Tensor, from_logits: bool) -> Tensor:
    """The same for every unit, not averaged."""
    odds = log_ratio(log_odds(a, from_logits), log_odds(b, from_logits))
    p, q = widen(a), widen(b)
    if from_logits:
        p, q = ops.sigmoid(p), ops.sigmoid(q)
    return 0.5 * (p - q) * odds
