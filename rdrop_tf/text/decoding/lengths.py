"""How many tokens a sentence may get."""

import math
from typing import TypeAlias

import numpy as np
from keras import ops
from numpy.typing import NDArray

from rdrop_tf._typing import Tensor
from rdrop_tf.text.decoding.checks import check_finite, check_whole

# A number of tokens, or (a, b) for a · source tokens + b.
MaxLength: TypeAlias = int | tuple[float, float]
# Keeps 0.29 · 100 from being 28.
ROUNDING = 1e-9


def check_lengths(min_length: int, max_length: MaxLength) -> None:
    """Raises unless the shortest source may get a token, and a constant limit the minimum."""
    check_whole("min_length", min_length, 0)
    if not isinstance(max_length, tuple | list):
        check_whole("max_length", max_length, 1)
        _check_order(min_length, max_length, max_length)
        return
    if len(max_length) != 2:
        raise ValueError(
            "`max_length` must be a whole number of tokens, or (a, b) for a · source tokens + b. "
            f"Received: max_length={max_length!r}"
        )
    a, b = max_length
    check_finite("max_length[0]", a)
    check_finite("max_length[1]", b)
    if a < 0 or a + b < 1:
        raise ValueError(
            "`max_length` = (a, b) needs a >= 0 and a + b >= 1, so that a source of one token may "
            f"get one. Received: max_length={max_length!r}"
        )


def limits_by_source(
    min_length: int, max_length: MaxLength, width: int | None
) -> NDArray[np.int32]:
    """Computes the limits of sources of 0 to `width` tokens.

    Args:
        min_length: Tokens before the end token at least. A limit is no less.
        max_length: Tokens before the end token at most.
        width: Tokens of the longest source; may be None where the limit is constant.

    Returns:
        int32 of shape (width + 1,), or (1,) for a constant limit.
    """
    a, b = max_length if isinstance(max_length, tuple | list) else (0.0, max_length)
    if a == 0:
        width = 0
    if width is None:
        raise ValueError(
            "`max_length` = (a, b) needs sources of a known width; give a whole number or sources "
            f"of fixed width. Received: max_length={max_length!r} and sources of unknown width"
        )
    limits = np.floor(a * np.arange(width + 1) + b + ROUNDING)
    _check_order(min_length, int(limits[-1]), max_length)
    return np.maximum(limits, max(min_length, 1)).astype("int32")


def limit_of_each(limits: NDArray[np.int32], source: Tensor, pad_id: int) -> Tensor:
    """Looks up the limit of each source by its tokens that are no padding."""
    real = ops.sum(ops.cast(ops.not_equal(source, pad_id), "int32"), axis=1)
    return ops.take(ops.convert_to_tensor(limits), ops.minimum(real, len(limits) - 1), axis=0)


def _check_order(min_length: int, longest: int, max_length: MaxLength) -> None:
    if min_length > longest:
        raise ValueError(
            f"`min_length` must not exceed the maximum length, {math.floor(longest)} tokens here. "
            f"Received: min_length={min_length!r} and max_length={max_length!r}"
        )
