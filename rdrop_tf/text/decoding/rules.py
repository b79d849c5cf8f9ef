"""What may be generated and how it is scored: the same for every way of decoding."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.text.decoding.arrays import any_at
from rdrop_tf.text.decoding.checks import check_finite, check_whole
from rdrop_tf.text.decoding.lengths import (
    Length,
    Limits,
    check_lengths,
    limits_by_source,
    limits_of_each,
)

DEFAULT_MAX_LENGTH: Length = (1.0, 50)


def reach_of(decoder: Any) -> int | None:
    """Returns how many tokens a decoder has positions for, None for any number.

    Args:
        decoder: The model; its `longest`, if it has one, counts the start token too.
    """
    longest: int | None = getattr(decoder, "longest", None)
    return None if longest is None else longest - 1


@dataclass(frozen=True)
class Rules:
    """The arguments that all ways of decoding share.

    Args:
        length_penalty: Power of the length that a log-probability is divided by.
        min_length: Tokens before the end token at least, or (a, b) for a · source tokens + b.
        max_length: Tokens before the end token at most, likewise; there the end token is forced.
        no_repeat_ngram: Number of tokens in a row that never occur twice; 0 for no such rule.
        start_id: Of the start token.
        end_id: Of the end token.
        pad_id: Of padding.
        reach: The most tokens that the decoder has positions for; None for any number. A maximum
            of the form (a, b) is no greater.

    Raises:
        ValueError: If an argument breaks its rule.
    """

    length_penalty: float = 1.0
    min_length: Length = 0
    max_length: Length = DEFAULT_MAX_LENGTH
    no_repeat_ngram: int = 0
    start_id: int = 1
    end_id: int = 2
    pad_id: int = 0
    reach: int | None = None

    def __post_init__(self) -> None:
        check_finite("length_penalty", self.length_penalty)
        check_lengths(self.min_length, self.max_length, self.reach)
        check_whole("no_repeat_ngram", self.no_repeat_ngram, 0)
        for name in ("start_id", "end_id", "pad_id"):
            check_whole(name, getattr(self, name), 0)

    def length(self, width: int | None) -> int:
        """Returns the tokens of the longest hypothesis, its end token included."""
        return int(self._by_source(width).most[-1]) + 1

    def limits(self, source: Tensor) -> Limits:
        """Returns how many tokens each sentence may get, int32 (sentences,)."""
        return limits_of_each(self._by_source(source.shape[1]), source, self.pad_id)

    def _by_source(self, width: int | None) -> Limits:
        return limits_by_source(self.min_length, self.max_length, width, self.reach)

    def never(self, classes: int) -> list[int]:
        """Returns the classes that are never generated: padding and start."""
        # Models may start with their end token, or pad with it.
        ids = {self.pad_id, self.start_id} - {self.end_id}
        return sorted(i for i in ids if i < classes)

    def check_classes(self, classes: int) -> None:
        """Raises unless the end token is one of the classes."""
        if self.end_id >= classes:
            raise ValueError(
                "`end_id` must be one of the decoder's classes, or nothing could end. "
                f"Received: end_id={self.end_id!r} and logits of {classes} classes"
            )

    def allowed(self, classes: int, position: Tensor, limits: Limits) -> Tensor:
        """Tells which tokens may stand at a position: bool (sentences, classes)."""
        ids = np.arange(classes)
        is_end = ops.convert_to_tensor(ids == self.end_id)
        usual = ops.convert_to_tensor(~np.isin(ids, self.never(classes)))
        early = ops.expand_dims(position < limits.least, 1)
        usual = ops.logical_and(usual, ops.logical_not(ops.logical_and(is_end, early)))
        forced = ops.expand_dims(ops.equal(position, limits.most), 1)
        return ops.where(forced, is_end, usual)

    def without_repeats(self, logits: Tensor, history: Tensor, position: Tensor) -> Tensor:
        """Rules out the tokens that would complete an n-gram for the second time.

        Args:
            logits: Shape (rows, classes).
            history: The tokens so far, int32 (rows, length); what is in it from `position` on
                does not matter.
            position: int32 scalar.

        Returns:
            The logits, -inf for those tokens. The end token stays.
        """
        size = self.no_repeat_ngram
        windows = history.shape[1] - size + 1
        if not size or windows < 1:
            return logits
        first_of_last = position - size + 1
        repeats = ops.expand_dims(ops.arange(windows, dtype="int32") < first_of_last, 0)
        for i in range(size - 1):
            last = ops.take(history, ops.maximum(first_of_last + i, 0), axis=1)
            same = ops.equal(history[:, i : i + windows], ops.expand_dims(last, 1))
            repeats = ops.logical_and(repeats, same)
        completing = history[:, size - 1 :]
        repeats = ops.logical_and(repeats, ops.not_equal(completing, self.end_id))
        return ops.where(any_at(completing, repeats, logits), -float("inf"), logits)

    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Divides log-probabilities by the power of the length."""
        power = ops.power(ops.cast(length, "float32"), float(self.length_penalty))
        return log_probability / power
