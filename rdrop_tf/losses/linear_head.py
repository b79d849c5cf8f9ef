"""Labels, weights and masks of a vocabulary head around its chunked sums."""

from collections.abc import Sequence
from dataclasses import dataclass

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.checks import check_labels_fit
from rdrop_tf.losses.labels import require_no_bad_labels, valid_labels
from rdrop_tf.losses.linear_terms import LinearTerms, linear_terms
from rdrop_tf.losses.precision import working_dtype
from rdrop_tf.losses.projection import Projection
from rdrop_tf.losses.reduction import both_masks, weighting


@dataclass(frozen=True)
class LinearHead:
    """A softmax head whose logits are never all made.

    Attributes:
        projection: From hidden states to logits.
        label_smoothing: The share of each label that goes to all classes alike.
        ignore_class: The label of positions that do not count, or None.
        chunk_size: Rows of each pass at a time; None chooses.
    """

    projection: Projection
    label_smoothing: float = 0.0
    ignore_class: int | None = None
    chunk_size: int | None = None


@dataclass(frozen=True)
class LinearHeadTerms:
    """Weighted sums over positions, and the number to divide them by.

    Attributes:
        sums: The sums; only their total has a gradient. NaN where a label is no class.
        denominator: What to divide by.
        bad_labels: Labels that are no class in places that carry weight.
    """

    sums: LinearTerms
    denominator: Tensor
    bad_labels: Tensor


def linear_head_terms(
    head: LinearHead,
    y_true: Tensor,
    passes: Sequence[Tensor],
    *,
    task_factor: Tensor | float,
    divergence_factor: Tensor | float,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    reduction: str = "sum_over_batch_size",
) -> LinearHeadTerms:
    """Computes the sums of one output from its hidden states.

    Args:
        head: The head.
        y_true: Classes, shape (...) or (..., 1).
        passes: Hidden states of each pass, shape (..., features).
        task_factor: Of each pass' cross-entropy in the total.
        divergence_factor: Of the divergence in the total.
        sample_weight: A weight per example or position; acts on both terms alike.
        mask: True for positions that count; acts on both terms alike.
        reduction: A Keras reduction other than None.
    """
    labels = _labels(y_true, passes[0])
    classes = head.projection.classes
    valid, ignored = valid_labels(labels, classes), None
    if head.ignore_class is not None:
        ignored = ops.not_equal(labels, head.ignore_class)
    dtype = working_dtype(passes[0], head.projection.kernel)
    values = ops.zeros_like(labels, dtype=dtype)
    weights = weighting(values, sample_weight, both_masks(mask, ignored, values), reduction)
    by_position = None
    bad = ops.logical_not(valid)
    if weights.weights is not None:
        by_position = ops.broadcast_to(ops.cast(weights.weights, dtype), ops.shape(labels))
        bad = ops.logical_and(bad, ops.not_equal(by_position, 0))
    require_no_bad_labels(labels, bad, classes)
    sums = linear_terms(
        ops.stack([_rows(x) for x in passes]),
        head.projection,
        ops.reshape(ops.where(valid, labels, ops.zeros_like(labels)), (-1,)),
        None if by_position is None else ops.reshape(by_position, (-1,)),
        task_factor=task_factor,
        divergence_factor=divergence_factor,
        label_smoothing=head.label_smoothing,
        chunk_size=head.chunk_size,
    )
    count = ops.sum(ops.cast(bad, "int32"))
    # Code compiled by XLA cannot raise: there the loss of such a batch is NaN.
    spoilt = LinearTerms(
        _nan_where(count > 0, sums.total), _nan_where(count > 0, sums.task), sums.divergence
    )
    return LinearHeadTerms(spoilt, weights.denominator, count)


def _labels(y_true: Tensor, hidden: Tensor) -> Tensor:
    labels = ops.cast(ops.convert_to_tensor(y_true), "int32")
    if len(labels.shape) == len(hidden.shape) and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, axis=-1)
    check_labels_fit(labels, hidden[..., 0])
    return labels


def _rows(hidden: Tensor) -> Tensor:
    return ops.reshape(hidden, (-1, hidden.shape[-1]))


def _nan_where(condition: Tensor, x: Tensor) -> Tensor:
    return ops.where(condition, ops.full_like(x, float("nan")), x)
