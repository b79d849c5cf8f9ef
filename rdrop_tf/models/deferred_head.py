"""A vocabulary head that a training step applies by itself."""

from dataclasses import dataclass

from keras import ops

from rdrop_tf._keras import get_mask, set_mask
from rdrop_tf._typing import Tensor
from rdrop_tf.losses.projection import Projection


@dataclass(frozen=True)
class DeferredHead:
    """What turns an output's hidden states into its logits.

    Attributes:
        projection: The linear map.
        dtype: What hidden states are cast to before; None for their own.
        keeps_mask: Whether the logits carry the mask of the hidden states.
    """

    projection: Projection
    dtype: str | None = None
    keeps_mask: bool = True

    def cast(self, hidden: Tensor) -> Tensor:
        """Casts hidden states as the layer of the head does."""
        return hidden if self.dtype is None else ops.cast(hidden, self.dtype)

    def logits(self, hidden: Tensor) -> Tensor:
        """Projects hidden states as the layer of the head does, mask included."""
        logits = self.projection.logits(self.cast(hidden))
        mask = get_mask(hidden) if self.keeps_mask else None
        if mask is not None:
            set_mask(logits, mask)
        return logits
