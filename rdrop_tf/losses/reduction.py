"""Weights, masks and the number that everything is divided by.

Keras divides by what a reduction says: the number of positions, the number that the mask
keeps, or the sum of the weights. Here numerator and denominator stay apart, so that both
terms of R-Drop share one denominator and replicas can add up theirs before dividing.
"""

from dataclasses import dataclass

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.checks import check_choice

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum")


@dataclass(frozen=True)
class Weighting:
    """How positions count: `weights` of each (None = 1), and the divisor of their sum."""

    weights: Tensor | None
    denominator: Tensor

    def sum(self, values: Tensor) -> Tensor:
        """Adds up values by weight; a weight of 0 removes a value, whatever it is."""
        if self.weights is None:
            return ops.sum(values)
        weights = ops.cast(self.weights, values.dtype)
        dropped = ops.broadcast_to(ops.equal(weights, 0), ops.shape(values))
        return ops.sum(ops.where(dropped, ops.zeros_like(values), values * weights))


def weighting(
    values: Tensor,
    sample_weight: Tensor | None,
    mask: Tensor | None,
    reduction: str,
) -> Weighting:
    """Puts mask and weights together as a Keras reduction does.

    Args:
        values: One value per position, for shape and dtype.
        sample_weight: A weight per example or per position, or None.
        mask: True for positions that count, or None.
        reduction: A Keras reduction other than None.

    Returns:
        The weighting. With "sum_over_batch_size" or "mean" the denominator is the number
        of positions that the mask keeps, with "mean_with_sample_weight" the sum of the
        weights, with "sum" it is 1.

    Raises:
        ValueError: If the reduction is unknown or the shapes do not fit.
    """
    check_choice("reduction", reduction, REDUCTIONS)
    dtype = values.dtype
    kept = None if mask is None else ops.cast(align(mask, values, "mask"), dtype)
    weights = kept
    if sample_weight is not None:
        weights = ops.cast(align(sample_weight, values, "sample_weight"), dtype)
        weights = weights if kept is None else weights * kept
    counted = {"sum": None, "mean_with_sample_weight": weights}.get(reduction, kept)
    if reduction == "sum":
        return Weighting(weights, ops.ones((), dtype=dtype))
    return Weighting(weights, _count(counted, values))


def both_masks(mask: Tensor | None, other: Tensor | None, values: Tensor) -> Tensor | None:
    """Returns the mask of positions that two masks keep, either of which may be None."""
    masks = [ops.cast(align(m, values, "mask"), "bool") for m in (mask, other) if m is not None]
    if not masks:
        return None
    return masks[0] if len(masks) == 1 else ops.logical_and(*masks)


def align(x: Tensor, values: Tensor, name: str) -> Tensor:
    """Gives weights or a mask as many axes as the values: (B,) fits values (B, T)."""
    x = ops.convert_to_tensor(x)
    rank = len(values.shape)
    if len(x.shape) == rank + 1 and x.shape[-1] == 1:
        x = ops.squeeze(x, axis=-1)
    fits = len(x.shape) <= rank and all(
        m is None or n is None or m in (1, n) for m, n in zip(x.shape, values.shape, strict=False)
    )
    if not fits:
        raise ValueError(
            f"`{name}` must have one value per example or per position of the loss. "
            f"Received: {name} of shape {tuple(x.shape)} for losses of shape "
            f"{tuple(values.shape)}"
        )
    for _ in range(rank - len(x.shape)):
        x = ops.expand_dims(x, axis=-1)
    return x


def _count(counted: Tensor | None, values: Tensor) -> Tensor:
    if counted is None:
        return ops.cast(ops.size(values), values.dtype)
    return ops.sum(ops.broadcast_to(counted, ops.shape(values)))
