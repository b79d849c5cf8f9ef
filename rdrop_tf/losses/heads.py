"""What a head's outputs mean: which cross-entropy and which divergence belong to a loss.

A head turns labels and the predictions of all passes into one task loss per pass and one
divergence per pair, position by position. Nothing is weighted or averaged over positions
here; `reduction` does that.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import keras
from keras import ops

from rdrop_tf._keras import get_logits, get_mask
from rdrop_tf._typing import Tensor
from rdrop_tf.losses.bernoulli_kl import bernoulli_kl_by_unit
from rdrop_tf.losses.cross_entropy import (
    binary_cross_entropy,
    dense_cross_entropy,
    smooth,
    sparse_cross_entropy,
)
from rdrop_tf.losses.jensen_shannon import jensen_shannon_of_logs
from rdrop_tf.losses.kl_forward import kl_forward_of_logs
from rdrop_tf.losses.labels import valid_labels
from rdrop_tf.losses.log_probabilities import log_probabilities
from rdrop_tf.losses.precision import widen, working_dtype
from rdrop_tf.losses.squared_difference import squared_difference
from rdrop_tf.losses.symmetric_kl import symmetric_kl_of_logs

Divergence = Callable[[Tensor, Tensor], Tensor]
Predictions = Sequence[Tensor]

# By name, on log-probabilities over the last axis.
CLASS_DIVERGENCES: dict[str, Divergence] = {
    "symmetric_kl": symmetric_kl_of_logs,
    "jensen_shannon": jensen_shannon_of_logs,
    "kl_forward": kl_forward_of_logs,
}


@dataclass(frozen=True)
class Positions:
    """Values position by position, before weights and reduction."""

    task: list[Tensor]
    divergence: Tensor | None
    # Places that the loss itself leaves out (`ignore_class`), True = keep.
    mask: Tensor | None = None
    # Places whose label is not a class, and the number of classes.
    bad_labels: Tensor | None = None
    classes: int | Tensor | None = None


class Head(ABC):
    """The meaning of one output."""

    @abstractmethod
    def positions(self, y_true: Tensor, passes: Predictions) -> Positions:
        """Computes the task loss of every pass and the mean divergence of all pairs."""


@dataclass(frozen=True)
class SoftmaxHead(Head):
    """One class of many, by sparse or dense labels."""

    loss: keras.losses.Loss
    divergence: Divergence
    from_logits: bool
    sparse: bool
    axis: int = -1
    label_smoothing: float = 0.0
    ignore_class: int | None = None
    # Whether the task loss is exactly Keras' formula, so that ours may stand in for it.
    standard: bool = True

    def positions(self, y_true: Tensor, passes: Predictions) -> Positions:
        passes, from_logits = _logits_if_kept(passes, self.from_logits)
        moved = [ops.moveaxis(x, self.axis, -1) if self.axis != -1 else x for x in passes]
        logs = [log_probabilities(x, from_logits) for x in moved]
        divergence = _over_pairs(self.divergence, logs)
        if not (self.standard and from_logits):
            return self._by_keras(y_true, passes, divergence)
        return (self._sparse if self.sparse else self._dense)(y_true, logs, divergence)

    def _sparse(
        self, y_true: Tensor, logs: Predictions, divergence: Tensor | None
    ) -> Positions:
        labels, classes = self._labels(y_true, logs[0])
        valid = valid_labels(labels, classes)
        kept = None if self.ignore_class is None else ops.not_equal(labels, self.ignore_class)
        bad = ops.logical_not(valid)
        if kept is not None:
            bad = ops.logical_and(bad, kept)
        task = [sparse_cross_entropy(labels, log_p, valid) for log_p in logs]
        return Positions(task, divergence, kept, bad, classes)

    def _labels(self, y_true: Tensor, predictions: Tensor) -> tuple[Tensor, int | Tensor]:
        labels = ops.cast(ops.convert_to_tensor(y_true), "int32")
        if len(labels.shape) == len(predictions.shape) and labels.shape[-1] == 1:
            labels = ops.squeeze(labels, axis=-1)
        classes = predictions.shape[-1]
        return labels, ops.shape(predictions)[-1] if classes is None else classes

    def _dense(self, y_true: Tensor, logs: Predictions, divergence: Tensor | None) -> Positions:
        targets = ops.cast(ops.convert_to_tensor(y_true), logs[0].dtype)
        if self.axis != -1:
            targets = ops.moveaxis(targets, self.axis, -1)
        targets = smooth(targets, self.label_smoothing, ops.shape(targets)[-1])
        return Positions([dense_cross_entropy(targets, log_p) for log_p in logs], divergence)

    def _by_keras(
        self, y_true: Tensor, passes: Predictions, divergence: Tensor | None
    ) -> Positions:
        """Task losses by Keras itself: it clips probabilities at 1e-7, as plain training."""
        task = [_keras_values(self.loss, y_true, x, cast=not self.sparse) for x in passes]
        mask = get_mask(task[0])
        if not self.sparse:
            return Positions(task, divergence, mask)
        labels, classes = self._labels(y_true, passes[0])
        bad = ops.logical_not(valid_labels(labels, classes))
        if mask is not None:
            bad = ops.logical_and(bad, ops.cast(mask, "bool"))
        return Positions(task, divergence, mask, bad, classes)


@dataclass(frozen=True)
class BernoulliHead(Head):
    """Yes or no for each unit."""

    loss: keras.losses.Loss
    divergence: str
    from_logits: bool
    axis: int = -1
    label_smoothing: float = 0.0
    standard: bool = True

    def positions(self, y_true: Tensor, passes: Predictions) -> Positions:
        passes, from_logits = _logits_if_kept(passes, self.from_logits)

        def pair(a: Tensor, b: Tensor) -> Tensor:
            return ops.mean(self._by_unit(a, b, from_logits), axis=self.axis)

        divergence = _over_pairs(pair, passes)
        if not (self.standard and from_logits):
            return Positions([_keras_values(self.loss, y_true, x) for x in passes], divergence)
        logits = [widen(x) for x in passes]
        targets = ops.cast(ops.convert_to_tensor(y_true), logits[0].dtype)
        targets = _squeeze_like(smooth(targets, self.label_smoothing, 2), logits[0])
        task = [ops.mean(binary_cross_entropy(targets, x), axis=self.axis) for x in logits]
        return Positions(task, divergence)

    def _by_unit(self, a: Tensor, b: Tensor, from_logits: bool) -> Tensor:
        if self.divergence == "symmetric_kl":
            return bernoulli_kl_by_unit(a, b, from_logits)
        logs = [_yes_and_no(x, from_logits) for x in (a, b)]
        return CLASS_DIVERGENCES[self.divergence](*logs)


@dataclass(frozen=True)
class PlainHead(Head):
    """Any loss of Keras or of the user's, with a divergence of two predictions."""

    loss: keras.losses.Loss
    divergence: Divergence

    def positions(self, y_true: Tensor, passes: Predictions) -> Positions:
        task = [_keras_values(self.loss, y_true, x) for x in passes]
        mask = get_mask(task[0])
        return Positions(task, _over_pairs(self.divergence, list(passes)), mask)


def regression_head(loss: keras.losses.Loss) -> Head:
    """The head of a regression: squared difference between the passes."""
    return PlainHead(loss, squared_difference)


def _over_pairs(divergence: Divergence, passes: Predictions) -> Tensor | None:
    """Averages over all pairs of passes; a single pass has no divergence."""
    values = [divergence(a, b) for a, b in combinations(passes, 2)]
    return sum(values[1:], values[0]) / len(values) if values else None


def _logits_if_kept(passes: Predictions, from_logits: bool) -> tuple[Predictions, bool]:
    """Takes the logits behind a softmax or sigmoid activation where Keras kept them."""
    kept = [get_logits(x) for x in passes]
    if from_logits or any(x is None for x in kept):
        return passes, from_logits
    return kept, True


def _keras_values(
    loss: keras.losses.Loss, y_true: Tensor, y_pred: Tensor, cast: bool = True
) -> Tensor:
    """Calls a Keras loss position by position, in the working dtype."""
    dtype = working_dtype(y_pred)
    wide = ops.convert_to_tensor(y_pred) if _is(y_pred, dtype) else ops.cast(y_pred, dtype)
    target = ops.convert_to_tensor(y_true)
    return loss.call(ops.cast(target, dtype) if cast else target, wide)


def _is(x: Tensor, dtype: str) -> bool:
    return str(keras.backend.standardize_dtype(x.dtype)) == dtype


def _yes_and_no(x: Tensor, from_logits: bool) -> Tensor:
    if from_logits:
        x = widen(x)
        return ops.stack([-ops.softplus(-x), -ops.softplus(x)], axis=-1)
    x = ops.convert_to_tensor(x)
    return log_probabilities(ops.stack([x, 1.0 - x], axis=-1), from_logits=False)


def _squeeze_like(targets: Tensor, logits: Tensor) -> Tensor:
    """Lets targets of shape (B,) meet predictions of shape (B, 1)."""
    if len(targets.shape) == len(logits.shape) - 1 and logits.shape[-1] == 1:
        return ops.expand_dims(targets, -1)
    return targets
