"""Which values a recipe's settings may have, where a wrong one would show late or never."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Range(NamedTuple):
    """What a value must be, and what tells whether it is."""

    rule: str
    holds: Callable[[Any], bool]


def _is_whole(value: Any, least: int, most: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value: Any, least: float) -> bool:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and least <= value < math.inf


def _is_share_or_count(value: Any) -> bool:
    return _is_whole(value, 0) or (isinstance(value, float) and 0 <= value < 1)


def _whole(least: int) -> Range:
    return Range(f"a whole number from {least} on", lambda value: _is_whole(value, least))


def _or_none(wanted: Range) -> Range:
    return Range(
        f"{wanted.rule}, or null", lambda value: value is None or bool(wanted.holds(value))
    )


NOT_NEGATIVE = Range("a number >= 0", lambda value: _is_number(value, 0))
POSITIVE = Range("a number > 0", lambda value: _is_number(value, 0) and value > 0)
BELOW_1 = Range("a number from 0 to below 1", lambda value: _is_number(value, 0) and value < 1)
SEED = Range("a whole number from 0 to 4294967295", lambda v: _is_whole(v, 0, 2**32 - 1))
SHARE_OR_COUNT = Range(
    "a share of the training rows from 0 to below 1, or a whole number of rows", _is_share_or_count
)
# Two texts with the marks before, between and behind them.
TOKENS = _whole(6)

# By path. The other settings are checked where they are used, before training begins.
RANGES: Mapping[str, Range] = {
    "alpha": NOT_NEGATIVE,
    "seeds": _whole(1),
    "epochs": _whole(1),
    "batch_size": _whole(1),
    "validate_every": _whole(1),
    "probe_every": _whole(1),
    "average": _whole(1),
    "optimizer.learning_rate": POSITIVE,
    "optimizer.warmup": NOT_NEGATIVE,
    "optimizer.beta_1": BELOW_1,
    "optimizer.beta_2": BELOW_1,
    "optimizer.epsilon": POSITIVE,
    "optimizer.momentum": BELOW_1,
    "optimizer.weight_decay": NOT_NEGATIVE,
    "optimizer.clip_norm": _or_none(POSITIVE),
    "optimizer.accumulation": _whole(1),
    "data.train": _whole(1),
    "data.rows": _or_none(_whole(1)),
    "data.validation": SHARE_OR_COUNT,
    "data.seed": SEED,
    "data.image_size": _or_none(_whole(1)),
    "data.most_classes": _or_none(_whole(1)),
    "model.sequence_length": TOKENS,
    "model.lora": _or_none(_whole(1)),
    "model.dropout": _or_none(BELOW_1),
}


def check_ranges(settings: Mapping[str, Any]) -> None:
    """Refuses settings of a recipe that are out of their range.

    Args:
        settings: The recipe's, as `Recipe.as_dict` returns them. What one has no setting for is
            passed over.

    Raises:
        ValueError: If one is; the text has its path, what it must be and what it is.

    Example:
    >>> check_ranges({"batch_size": 0})
    Traceback (most recent call last):
    ...
    ValueError: batch_size must be a whole number from 1 on; got 0: leave it out for the recipe's
    """
    for path, wanted in RANGES.items():
        *outer, last = path.split(".")
        inner = settings
        for name in outer:
            inner = inner.get(name, {})
        if last in inner and not wanted.holds(inner[last]):
            raise ValueError(
                f"{path} must be {wanted.rule}; got {inner[last]!r}: leave it out for the recipe's"
            )
