"""What a head's outputs mean: which cross-entropy and which divergence belong to a loss.

A head turns labels and the predictions of all passes into one task loss per pass and one
divergence per pair, position by position. Nothing is weighted or averaged over positions
here; `reduction` does that.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import keras
from keras import ops

from rdrop_tf._keras import get_logits, get_mask
from rdrop_tf._typing import Tensor
from rdrop_tf.losses.arithmetic import mean
from rdrop_tf.losses.bernoulli_kl import bernoulli_kl_by_unit
from rdrop_tf.losses.checks import check_labels_fit
from rdrop_tf.losses.cross_entropy import (
    binary_cross_entropy,
    dense_cross_entropy,
    smooth,
    smoothed_sparse_cross_entropy,
)
from rdrop_tf.losses.jensen_shannon import jensen_shannon_of_logs
from rdrop_tf.losses.kl_forward import kl_forward_of_logs
from rdrop_tf.losses.labels import valid_labels
from rdrop_tf.losses.log_probabilities import log_probabilities, log_yes_and_no
from rdrop_tf.losses.precision import dtype_of, widen, widen_probabilities, working_dtype
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
    divergence: Tensor | None = None
    # Places that the loss itself leaves out (`ignore_class`), True = keep.
    mask: Tensor | None = None
    # Places whose label is not a class, and the number of classes.
    bad_labels: Tensor | None = None
    classes: int | Tensor = 0


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
    # Whether the divergence is one of log-probabilities, or of the predictions as they come.
    of_logs: bool = True
    axis: int = -1
    label_smoothing: float = 0.0
    ignore_class: int | None = None
    # Whether the task loss is exactly Keras' formula, so that ours may stand in for it.
    standard: bool = True

    def positions(self, y_true: Tensor, passes: Predictions) -> Positions:
        """Cross-entropy, and a divergence over the classes."""
        outputs, from_logits = _logits_if_kept(passes, self.from_logits)
        moved = [ops.moveaxis(x, self.axis, -1) if self.axis != -1 else x for x in outputs]
        logs = [log_probabilities(x, from_logits) for x in moved]
        divergence = _over_pairs(self.divergence, logs if self.of_logs else passes)
        by_keras = None if self.standard and from_logits else passes
        task_only = (self._sparse if self.sparse else self._dense)(y_true, logs, by_keras)
        return replace(task_only, divergence=divergence)

    def _sparse(self, y_true: Tensor, logs: Predictions, by_keras: Predictions | None) -> Positions:
        labels, classes = self._labels(y_true, logs[0])
        valid = valid_labels(labels, classes)
        bad, kept = ops.logical_not(valid), None
        if self.ignore_class is not None:
            kept = ops.not_equal(labels, self.ignore_class)
            bad = ops.logical_and(bad, kept)
        if by_keras is None:
            smoothing = self.label_smoothing
            task = [smoothed_sparse_cross_entropy(labels, x, valid, smoothing) for x in logs]
        else:
            task = self._sparse_by_keras(y_true, labels, bad, by_keras)
        return Positions(task, mask=kept, bad_labels=bad, classes=classes)

    def _labels(self, y_true: Tensor, predictions: Tensor) -> tuple[Tensor, int | Tensor]:
        labels = ops.cast(ops.convert_to_tensor(y_true), "int32")
        if len(labels.shape) == len(predictions.shape) and labels.shape[self.axis] == 1:
            labels = ops.squeeze(labels, axis=self.axis)
        classes = predictions.shape[-1]
        return labels, ops.shape(predictions)[-1] if classes is None else classes

    def _sparse_by_keras(
        self, y_true: Tensor, labels: Tensor, bad: Tensor, passes: Predictions
    ) -> list[Tensor]:
        """Keras gets class 0 for a label that is none, and the result becomes NaN there."""
        labels = ops.where(bad, ops.zeros_like(labels), labels)
        if self.standard:
            # With as many axes as the predictions, one class is not taken for no axis.
            labels = ops.expand_dims(labels, self.axis)
        else:
            labels = ops.reshape(labels, ops.shape(y_true))
        of_keras = partial(_keras_values, self.loss, labels, cast_labels=False)
        task = [of_keras(x, probabilities=not self.from_logits) for x in passes]
        return [ops.where(bad, ops.full_like(values, float("nan")), values) for values in task]

    def _dense(self, y_true: Tensor, logs: Predictions, by_keras: Predictions | None) -> Positions:
        if by_keras is not None:
            of_keras = partial(_keras_values, self.loss, y_true)
            task = [of_keras(x, probabilities=not self.from_logits) for x in by_keras]
            return Positions(task, mask=get_mask(task[0]))
        targets = ops.cast(ops.convert_to_tensor(y_true), logs[0].dtype)
        if self.axis != -1:
            targets = ops.moveaxis(targets, self.axis, -1)
        targets = smooth(targets, self.label_smoothing, ops.shape(targets)[-1])
        return Positions([dense_cross_entropy(targets, log_p) for log_p in logs])


@dataclass(frozen=True)
class BernoulliHead(Head):
    """Yes or no for each unit."""

    loss: keras.losses.Loss
    # The name of one over yes and no, or any of two predictions.
    divergence: str | Divergence
    from_logits: bool
    axis: int = -1
    label_smoothing: float = 0.0
    standard: bool = True

    def positions(self, y_true: Tensor, passes: Predictions) -> Positions:
        """Binary cross-entropy, and a divergence of each unit, averaged as the loss is."""
        outputs, from_logits = _logits_if_kept(passes, self.from_logits)
        outputs, passes = _with_units(outputs), _with_units(passes)
        if callable(self.divergence):
            divergence = _over_pairs(self.divergence, passes)
        else:
            divergence = _over_pairs(partial(self._by_name, from_logits=from_logits), outputs)
        y_true = _with_axes_of(passes[0], y_true)
        if self.standard:
            by_unit = self._by_unit(y_true, outputs, from_logits)
            return Positions([mean(values, self.axis) for values in by_unit], divergence)
        of_keras = partial(_keras_values, self.loss, y_true)
        task = [of_keras(x, probabilities=not self.from_logits) for x in passes]
        return Positions(task, divergence)

    def _by_unit(self, y_true: Tensor, outputs: Predictions, from_logits: bool) -> list[Tensor]:
        check_labels_fit(y_true, outputs[0])
        wide = [widen(x) if from_logits else widen_probabilities(x) for x in outputs]
        targets = ops.cast(y_true, wide[0].dtype)
        yes, no = (smooth(t, self.label_smoothing, 2) for t in (targets, 1.0 - targets))
        if from_logits:
            return [binary_cross_entropy(yes, no, x) for x in wide]
        return [ops.binary_crossentropy(yes, x, from_logits=False) for x in wide]

    def _by_name(self, a: Tensor, b: Tensor, from_logits: bool) -> Tensor:
        if self.divergence == "symmetric_kl":
            by_unit = bernoulli_kl_by_unit(a, b, from_logits)
        else:
            logs = [log_yes_and_no(x, from_logits) for x in (a, b)]
            by_unit = CLASS_DIVERGENCES[str(self.divergence)](*logs)
        return mean(by_unit, self.axis)


@dataclass(frozen=True)
class RegressionHead(Head):
    """A number for each unit."""

    loss: keras.losses.Loss
    # The loss of one unit from its error; None for a loss with a formula of its own.
    of_error: Callable[[Tensor], Tensor] | None

    def positions(self, y_true: Tensor, passes: Predictions) -> Positions:
        """The loss as it is, and the squared difference."""
        passes = _with_units(passes)
        y_true = _with_axes_of(passes[0], y_true)
        if self.of_error is None:
            task = [_keras_values(self.loss, y_true, x) for x in passes]
        else:
            wide = [widen(x) for x in passes]
            targets = ops.cast(y_true, wide[0].dtype)
            task = [mean(self.of_error(x - targets)) for x in wide]
        return Positions(task, _over_pairs(squared_difference, passes))


@dataclass(frozen=True)
class PlainHead(Head):
    """Any loss of Keras or of the user's, with a divergence of two predictions."""

    loss: keras.losses.Loss
    divergence: Divergence

    def positions(self, y_true: Tensor, passes: Predictions) -> Positions:
        """The loss as it is, and the divergence as it is."""
        task = [_keras_values(self.loss, y_true, x) for x in passes]
        mask = get_mask(task[0])
        return Positions(task, _over_pairs(self.divergence, passes), mask)


def squared_difference_of_units(a: Tensor, b: Tensor) -> Tensor:
    """Returns the squared difference; predictions of shape (B,) are one unit each."""
    return squared_difference(*_with_units([a, b]))


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


def _with_units(passes: Predictions) -> Predictions:
    """Gives predictions of shape (B,) an axis of one unit.

    Without it Keras averages over the batch at once, and no weight reaches its example.
    """
    return [ops.expand_dims(x, -1) if len(x.shape) == 1 else x for x in passes]


def _with_axes_of(predictions: Tensor, labels: Tensor) -> Tensor:
    """Adds or drops a last axis of size 1, so that no position is averaged away or broadcast."""
    labels = ops.convert_to_tensor(labels)
    if len(labels.shape) == len(predictions.shape) - 1 and predictions.shape[-1] == 1:
        return ops.expand_dims(labels, -1)
    if len(labels.shape) == len(predictions.shape) + 1 and labels.shape[-1] == 1:
        return ops.squeeze(labels, axis=-1)
    return labels


def _keras_values(
    loss: keras.losses.Loss,
    y_true: Tensor,
    y_pred: Tensor,
    *,
    cast_labels: bool = True,
    probabilities: bool = False,
) -> Tensor:
    """Calls a Keras loss position by position, in the working dtype."""
    dtype = working_dtype(y_pred)
    # Casting would lose the logits that Keras keeps with a tensor.
    if dtype_of(y_pred) != dtype:
        y_pred = widen_probabilities(y_pred) if probabilities else widen(y_pred)
    labels = ops.convert_to_tensor(y_true)
    return loss.call(ops.cast(labels, dtype) if cast_labels else labels, y_pred)
