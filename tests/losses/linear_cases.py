"""A softmax head over hidden states: cases, and what NumPy and the plain composition make of them.

The NumPy gradient is that of each pair of passes by itself; nothing of the shortcuts of the
package, such as means over the passes or log-sum-exps that cancel, is taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import keras
import numpy as np
from keras import ops

from rdrop_tf import RDropLoss
from rdrop_tf.losses import linear_rdrop

from . import reference
from .gradients import value_and_gradients


@dataclass(frozen=True)
class Case:
    """Shapes and options of a call."""

    rows: int
    classes: int
    passes: int = 2
    chunk_size: int | None = None
    alpha: float = 2.0
    normalize: str = "passes"
    label_smoothing: float = 0.0
    with_bias: bool = True
    weights: str = "none"
    features: int = 5
    upstream: float = -1.7
    seed: int = 0

    def arrays(self, dtype: str) -> list[np.ndarray]:
        """Hidden states, kernel and bias, rounded to a dtype and held in one NumPy has."""
        rng = np.random.default_rng(self.seed)
        shapes = [(self.passes, self.rows, self.features), (self.features, self.classes)]
        if self.with_bias:
            shapes.append((self.classes,))
        drawn = [rng.normal(size=shape) for shape in shapes]
        if dtype == "float64":
            return drawn
        return [ops.convert_to_numpy(ops.cast(ops.cast(x, dtype), "float32")) for x in drawn]

    def labels(self) -> np.ndarray:
        return np.random.default_rng(1).integers(0, self.classes, self.rows).astype("int32")

    def sample_weight(self) -> np.ndarray | None:
        rng = np.random.default_rng(2)
        drawn = rng.uniform(0.5, 2, self.rows) * (rng.random(self.rows) < 0.7)
        # Multiples of 1/64 are the same in every dtype.
        drawn = np.round(drawn * 64) / 64
        return {"none": None, "some zero": drawn, "all zero": 0 * drawn}[self.weights]

    def options(self) -> dict[str, Any]:
        return {
            "alpha": self.alpha,
            "normalize": self.normalize,
            "label_smoothing": self.label_smoothing,
        }

    def computed(self, hidden: Any, kernel: Any, bias: Any = None) -> Any:
        return self.upstream * linear_rdrop(
            hidden,
            kernel,
            self.labels(),
            bias=bias,
            sample_weight=self.sample_weight(),
            chunk_size=self.chunk_size,
            **self.options(),
        )

    def plain(self, hidden: Any, kernel: Any, bias: Any = None) -> Any:
        logits = hidden @ kernel if bias is None else hidden @ kernel + bias
        labels, smoothing = self.labels(), self.label_smoothing
        task = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        if smoothing:
            labels = np.eye(self.classes)[labels]
            task = keras.losses.CategoricalCrossentropy(True, label_smoothing=smoothing)
        loss = RDropLoss(self.alpha, task, normalize=self.normalize)
        passes = [logits[i] for i in range(self.passes)]
        return self.upstream * loss(labels, passes, self.sample_weight())

    def expected(self, *arrays: np.ndarray) -> tuple[float, list[np.ndarray]]:
        value, found = truth(
            *arrays, labels=self.labels(), sample_weight=self.sample_weight(), **self.options()
        )
        return self.upstream * value, [self.upstream * x for x in found]


def truth(
    hidden: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    labels: np.ndarray,
    alpha: float,
    normalize: str = "passes",
    label_smoothing: float = 0.0,
    sample_weight: np.ndarray | None = None,
) -> tuple[float, list[np.ndarray]]:
    """Returns the loss in float64 and its gradients for hidden states, kernel and bias."""
    hidden, kernel = hidden.astype("float64"), kernel.astype("float64")
    passes, rows, _ = hidden.shape
    classes = kernel.shape[1]
    weight = np.ones(rows) if sample_weight is None else sample_weight.astype("float64")
    hidden = np.where(weight[:, None] == 0, 0.0, hidden)
    logits = hidden @ kernel + (0.0 if bias is None else bias.astype("float64"))
    logs = [reference.log_softmax(z) for z in logits]
    targets = np.eye(classes)[np.where(weight == 0, 0, labels)]
    targets = reference.smooth(targets, label_smoothing, classes)
    value = reference.rdrop_loss(
        [reference.dense_cross_entropy(targets, x) for x in logs],
        reference.symmetric_kl,
        logs,
        alpha=alpha,
        normalize=normalize,
        weight=weight,
    )
    scale = (weight / rows)[:, None]
    pairs = list(combinations(range(passes), 2))
    of_task, of_pair = 1.0, alpha / max(1, len(pairs))
    if normalize == "passes":
        of_task, of_pair = of_task / passes, of_pair / 2
    slopes = [of_task * (np.exp(x) - targets) for x in logs]
    for i, j in pairs:
        slopes[i] = slopes[i] + of_pair * _slope_of_half(logs[i], logs[j])
        slopes[j] = slopes[j] + of_pair * _slope_of_half(logs[j], logs[i])
    slope = scale * np.stack(slopes)
    to_kernel = np.einsum("prd,prv->dv", hidden, slope)
    found = [slope @ kernel.T, to_kernel, slope.sum(axis=(0, 1))]
    return value, found[:2] if bias is None else found


def _slope_of_half(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Of ½(KL(p|q) + KL(q|p)) for the logits of p."""
    p, q = np.exp(log_p), np.exp(log_q)
    with np.errstate(invalid="ignore"):
        ratio = np.where(np.isneginf(log_p), 0.0, log_p - log_q)
    return 0.5 * (p * (ratio - np.sum(p * ratio, axis=-1, keepdims=True)) + p - q)


def relative_error(found: Any, expected: Any) -> float:
    """Returns the largest error in units of the largest entry; absolute where all are 0."""
    found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
    assert found.shape == expected.shape
    return float(np.max(np.abs(found - expected)) / (np.max(np.abs(expected)) or 1.0))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles on JAX, which otherwise compiles each operation anew for each shape."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


def differentiated(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    """Returns value and gradients, compiled where that is faster."""
    return value_and_gradients(compiled(function), *arrays)


def needs_compiler() -> Callable[[Callable[..., Any]], Callable[..., Any]] | None:
    """Returns what compiles with XLA, None on Torch."""
    if keras.backend.backend() == "torch":
        return None
    if keras.backend.backend() == "jax":
        return compiled
    import tensorflow as tf

    return tf.function(jit_compile=True, autograph=False)
