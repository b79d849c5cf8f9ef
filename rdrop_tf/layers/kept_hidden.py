"""Hidden states that travel with the logits a vocabulary head has made of them.

A training step that finds them with an output computes the loss from them. Where nothing else uses
the logits, a compiled step never makes them: TensorFlow and XLA leave out what leads to nothing.
Where something does, they are there, and right.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdrop_tf._keras import get_attached, set_attached
from rdrop_tf._typing import Tensor

if TYPE_CHECKING:
    from rdrop_tf.layers.vocabulary_head import VocabularyHead

_NAME = "_rdrop_kept_hidden"


@dataclass(frozen=True)
class KeptHidden:
    """What logits were made of.

    Attributes:
        hidden: The hidden states.
        head: The layer. Not its kernel: in half precision that is a copy, which would live as long
            as the logits do.
    """

    hidden: Tensor
    head: "VocabularyHead"


def keep_hidden(logits: Tensor, kept: KeptHidden) -> None:
    """Lets hidden states travel with their logits."""
    set_attached(logits, _NAME, kept)


def kept_hidden(logits: Tensor) -> KeptHidden | None:
    """Returns what travels with logits; None for a tensor that no vocabulary head has put out."""
    found: KeptHidden | None = get_attached(logits, _NAME)
    return found
