"""Differences of log-probabilities where some are -inf."""

from keras import ops

from rdrop_tf._typing import Tensor


def log_ratio(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Returns log p - log q, 0 where both are equal (also where both are -inf)."""
    same = ops.equal(log_p, log_q)
    return ops.where(same, ops.zeros_like(log_p), log_p - log_q)


def finite_or_zero(x: Tensor) -> Tensor:
    """Replaces infinities by 0, so that they can be multiplied by a probability of 0."""
    return ops.where(ops.isinf(x), ops.zeros_like(x), x)


def last_argument(args: tuple[Tensor, ...], upstream: Tensor | None) -> Tensor:
    """Finds the upstream gradient: Torch passes it by name, the others by position."""
    return args[-1] if upstream is None else upstream
