"""R-Drop in NumPy float64, written from the definitions and sharing nothing with the package.

No shortcut is taken: each Kullback-Leibler divergence is its own sum, log-probabilities come
from a log-sum-exp, masked positions are left out of a loop. By convention 0 log 0 = 0, and
p log(p/0) is infinite for p > 0.
"""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

Divergence = Callable[[np.ndarray, np.ndarray], np.ndarray]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - np.max(logits, axis=-1, keepdims=True)
    with np.errstate(under="ignore"):
        return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def log_yes_and_no(logits: np.ndarray) -> np.ndarray:
    """Log σ(x) and log(1 - σ(x)) in a new last axis."""
    with np.errstate(under="ignore"):
        return np.stack([-np.logaddexp(0, -logits), -np.logaddexp(0, logits)], axis=-1)


def log(probabilities: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(probabilities)


def softmax_logs(predictions: np.ndarray, from_logits: bool) -> np.ndarray:
    if from_logits:
        return log_softmax(predictions)
    return log(predictions / np.sum(predictions, axis=-1, keepdims=True))


def bernoulli_logs(predictions: np.ndarray, from_logits: bool) -> np.ndarray:
    if from_logits:
        return log_yes_and_no(predictions)
    return log(np.stack([predictions, 1 - predictions], axis=-1))


def kl(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Σ p log(p/q) over the last axis."""
    with np.errstate(invalid="ignore", under="ignore"):
        terms = np.exp(log_p) * (log_p - log_q)
    terms = np.where(np.isneginf(log_q), np.inf, terms)
    return np.sum(np.where(np.isneginf(log_p), 0.0, terms), axis=-1)


def symmetric_kl(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    return (kl(log_p, log_q) + kl(log_q, log_p)) / 2


def jensen_shannon(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    with np.errstate(under="ignore"):
        log_m = np.logaddexp(log_p, log_q) - np.log(2)
    return (kl(log_p, log_m) + kl(log_q, log_m)) / 2


def squared_difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.mean((a - b) ** 2, axis=-1)


def sparse_cross_entropy(labels: np.ndarray, log_p: np.ndarray) -> np.ndarray:
    """-log p of the label; NaN where the label is no class."""
    values = np.full(labels.shape, np.nan)
    for index in np.ndindex(*labels.shape):
        if 0 <= labels[index] < log_p.shape[-1]:
            values[index] = -log_p[index][labels[index]]
    return values


def dense_cross_entropy(targets: np.ndarray, log_p: np.ndarray) -> np.ndarray:
    """-Σ t log p over the last axis; log p counts only where t is not 0."""
    with np.errstate(invalid="ignore"):
        return -np.sum(np.where(targets == 0, 0.0, targets * log_p), axis=-1)


def smooth(targets: np.ndarray, amount: float, classes: int) -> np.ndarray:
    return targets * (1 - amount) + amount / classes


def rdrop_loss(
    task: Sequence[np.ndarray],
    divergence: Divergence,
    passes: Sequence[np.ndarray],
    *,
    alpha: float,
    normalize: str = "passes",
    weight: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    reduction: str = "sum_over_batch_size",
) -> float:
    """Adds up the loss position by position.

    `task` holds the task loss of each pass by position, `divergence` compares two of
    `passes`. Positions that the mask drops do not exist; positions of weight 0 add nothing.
    """
    shape = task[0].shape
    pairs = [divergence(a, b) for a, b in combinations(passes, 2)]
    if weight is not None:
        weight = weight.reshape(weight.shape + (1,) * (len(shape) - weight.ndim))
        weight = np.broadcast_to(weight, shape)
    total, count, weights = 0.0, 0, 0.0
    for index in np.ndindex(*shape):
        if mask is not None and not mask[index]:
            continue
        w = 1.0 if weight is None else weight[index]
        count, weights = count + 1, weights + w
        if w == 0:
            continue
        ce = [values[index] for values in task]
        d = sum(values[index] for values in pairs) / max(1, len(pairs))
        if normalize == "passes":
            total += w * (sum(ce) / len(ce) + (alpha / 2 * d if alpha else 0.0))
        else:
            total += w * (sum(ce) + (alpha * d if alpha else 0.0))
    if reduction == "sum":
        return total
    divisor = weights if reduction == "mean_with_sample_weight" else count
    return total / divisor if divisor else 0.0
