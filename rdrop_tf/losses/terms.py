"""The sums that R-Drop's loss is made of, for one output."""

from collections.abc import Sequence
from dataclasses import dataclass

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.arithmetic import mean
from rdrop_tf.losses.checks import check_same_shape
from rdrop_tf.losses.heads import Head, Positions
from rdrop_tf.losses.labels import require_no_bad_labels
from rdrop_tf.losses.normalization import factors
from rdrop_tf.losses.reduction import Weighting, both_masks, weighting


@dataclass(frozen=True)
class Terms:
    """Weighted sums over positions, and the number to divide them by.

    `task` holds one sum per pass; `divergence` is None for a single pass. `bad_labels`
    counts labels that are no class in places that carry weight (None where labels are
    not classes).
    """

    task: list[Tensor]
    divergence: Tensor | None
    denominator: Tensor
    bad_labels: Tensor | None = None

    def combine(self, alpha: Tensor | float, normalize: str) -> Tensor:
        """Adds up the sums, not yet divided, in either normalisation."""
        task_factor, divergence_factor = factors(alpha, normalize, len(self.task))
        task: Tensor = sum(self.task[1:], self.task[0]) * task_factor
        if self.divergence is None:
            return task
        factor = ops.cast(divergence_factor, task.dtype)
        penalty = factor * self.divergence
        # An alpha of 0 leaves the task loss, also where the divergence is infinite.
        return task + ops.where(ops.equal(factor, 0), ops.zeros_like(penalty), penalty)


def rdrop_terms(
    y_true: Tensor,
    passes: Sequence[Tensor],
    head: Head,
    *,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    reduction: str = "sum_over_batch_size",
) -> Terms:
    """Computes the sums of one output.

    Args:
        y_true: Labels.
        passes: The predictions of one pass or more, all of the same shape.
        head: What the predictions mean.
        sample_weight: A weight per example or position; acts on both terms alike.
        mask: True for positions that count; acts on both terms alike.
        reduction: A Keras reduction other than None.
    """
    for other in passes[1:]:
        check_same_shape(passes[0], other)
    found = _with_axis(head.positions(y_true, passes), passes[0])
    weights = weighting(
        found.task[0], sample_weight, both_masks(mask, found.mask, found.task[0]), reduction
    )
    return Terms(
        task=[weights.sum(values) for values in found.task],
        divergence=None if found.divergence is None else weights.sum(_fit(found)),
        denominator=weights.denominator,
        bad_labels=_count_bad_labels(y_true, found, weights),
    )


def _with_axis(found: Positions, predictions: Tensor) -> Positions:
    """Gives a loss that averages by itself one value per example, all equal."""
    if len(found.task[0].shape) > 0 or len(predictions.shape) == 0:
        return found
    batch = ops.shape(predictions)[:1]
    task = [ops.broadcast_to(values, batch) for values in found.task]
    return Positions(task, found.divergence, found.mask, found.bad_labels, found.classes)


def _fit(found: Positions) -> Tensor:
    """Averages a divergence over the axes that the task loss has averaged over."""
    divergence, rank = found.divergence, len(found.task[0].shape)
    for _ in range(rank, len(divergence.shape)):  # type: ignore[union-attr]
        divergence = mean(divergence)
    check_same_shape(found.task[0], divergence)
    return divergence


def _count_bad_labels(y_true: Tensor, found: Positions, weights: Weighting) -> Tensor | None:
    bad = found.bad_labels
    if bad is None:
        return None
    if weights.weights is not None:
        bad = ops.logical_and(bad, ops.not_equal(weights.weights, 0))
    labels = ops.convert_to_tensor(y_true)
    require_no_bad_labels(ops.reshape(labels, ops.shape(bad)), bad, found.classes)
    return ops.sum(ops.cast(bad, "int32"))
