"""What decoding returns."""

from typing import NamedTuple

from rdrop_tf._typing import Tensor


class Hypotheses(NamedTuple):
    """The outputs of each sentence, best first.

    Where a sentence has fewer of them than were asked for, the rest has score -inf, length 0 and
    padding for tokens. The scores of a sentence are NaN if the decoder gave it logits among which
    no token can be chosen: a NaN or +inf, or -inf for all.

    Attributes:
        tokens: int32 (sentences, n_best, length), the end token included, padding after it.
        scores: float32 (sentences, n_best), in nats: log-probability over length^length_penalty.
        lengths: int32 (sentences, n_best), in tokens, the end token included.
    """

    tokens: Tensor
    scores: Tensor
    lengths: Tensor
