"""How many tokens a sentence may get."""

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.text.decoding.checks import check_finite, check_whole

# A number of tokens, or (a, b) for a · source tokens + b.
Length: TypeAlias = int | tuple[float, float]
# Keeps 0.29 · 100 from being 28.
ROUNDING = 1e-9


class Limits(NamedTuple):
    """Tokens before the end token.

    Attributes:
        least: So many at least, int32.
        most: So many at most; no less than `least`.
    """

    least: Any
    most: Any


def check_lengths(min_length: Length, max_length: Length, reach: int | None = None) -> None:
    """Raises unless the shortest source may get a token, and constant limits are in order.

    Args:
        min_length: Tokens before the end token at least.
        max_length: Tokens before the end token at most.
        reach: The most tokens that the decoder has positions for; None for any number.
    """
    _check_length("min_length", min_length, 0)
    _check_length("max_length", max_length, 1)
    if not isinstance(max_length, tuple | list):
        if reach is not None and max_length > reach:
            raise ValueError(
                f"`max_length` must not exceed the {reach} tokens that the decoder has positions "
                f"for. Received: max_length={max_length!r}"
            )
        if not isinstance(min_length, tuple | list):
            _check_order(min_length, max_length, (min_length, max_length))
    elif sum(max_length) < 1:
        raise ValueError(
            "`max_length` = (a, b) needs a >= 0 and a + b >= 1, so that a source of one token may "
            f"get one. Received: max_length={max_length!r}"
        )


def limits_by_source(
    min_length: Length, max_length: Length, width: int | None, reach: int | None = None
) -> Limits:
    """Computes the limits of sources of 0 to `width` tokens.

    Args:
        min_length: Tokens before the end token at least. The maximum is no less.
        max_length: Tokens before the end token at most.
        width: Tokens of the longest source; may be None where the limits are constant.
        reach: The most tokens that the decoder has positions for, a bound of the maximum.

    Returns:
        Arrays of shape (width + 1,), or (1,) for constant limits.
    """
    pairs = [
        value if isinstance(value, tuple | list) else (0.0, value)
        for value in (min_length, max_length)
    ]
    if not any(a for a, _ in pairs):
        width = 0
    if width is None:
        raise ValueError(
            "`min_length` and `max_length` = (a, b) need sources of a known width; give whole "
            f"numbers or sources of fixed width. Received: min_length={min_length!r}, "
            f"max_length={max_length!r} and sources of unknown width"
        )
    least, most = (np.floor(a * np.arange(width + 1) + b + ROUNDING) for a, b in pairs)
    most = np.minimum(most, np.inf if reach is None else reach)
    _check_order(int(least[-1]), int(most[-1]), (min_length, max_length))
    least = np.maximum(least, 0)
    return Limits(least.astype("int32"), np.maximum(np.maximum(most, least), 1).astype("int32"))


def limits_of_each(limits: Limits, source: Tensor, pad_id: int) -> Limits:
    """Looks up the limits of each source by its tokens that are no padding.

    Args:
        limits: Of sources of 0, 1, 2 ... tokens.
        source: Tokens, int32 (sentences, s).
        pad_id: Of padding.

    Returns:
        Tensors of shape (sentences,).
    """
    real = ops.sum(ops.cast(ops.not_equal(source, pad_id), "int32"), axis=1)
    places = ops.minimum(real, len(limits.most) - 1)
    least, most = (ops.take(ops.convert_to_tensor(side), places, axis=0) for side in limits)
    return Limits(least, most)


def _check_length(name: str, length: Any, least: int) -> None:
    if not isinstance(length, tuple | list):
        check_whole(name, length, least)
        return
    if len(length) != 2:
        raise ValueError(
            f"`{name}` must be a whole number of tokens, or (a, b) for a · source tokens + b. "
            f"Received: {name}={length!r}"
        )
    for place, value in enumerate(length):
        check_finite(f"{name}[{place}]", value)
    if length[0] < 0:
        raise ValueError(
            f"`{name}` = (a, b) needs a >= 0, so that a longer source gets no fewer tokens. "
            f"Received: {name}={length!r}"
        )


def _check_order(least: int, most: int, given: tuple[Length, Length]) -> None:
    if least > most:
        raise ValueError(
            f"`min_length` must not exceed the maximum length, {math.floor(most)} tokens here. "
            f"Received: min_length={given[0]!r} and max_length={given[1]!r}"
        )
