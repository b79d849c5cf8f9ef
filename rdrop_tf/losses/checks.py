"""Errors about arguments: the rule, what came in, what to do."""

import math
from collections.abc import Sequence
from numbers import Integral

from keras import ops

from rdrop_tf._typing import Tensor


def check_alpha(alpha: float, name: str = "alpha") -> float:
    """Returns alpha as a float if it is finite and not negative."""
    try:
        value = float(alpha)
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` must be a number >= 0. Received: {name}={alpha!r}") from None
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"`{name}` must be finite and >= 0. Received: {name}={alpha!r}")
    return value


def is_whole_number(value: object, at_least: int) -> bool:
    """Whether a value is a whole number, of Python or NumPy, and not below a limit."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    return whole and int(value) >= at_least  # type: ignore[call-overload]


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raises unless the value is one of the choices."""
    if value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{name}` must be one of {known}. Received: {name}={value!r}")


def check_same_shape(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Returns both as tensors if their shapes agree as far as they are known."""
    a, b = ops.convert_to_tensor(a), ops.convert_to_tensor(b)
    if not _may_be_equal(tuple(a.shape), tuple(b.shape)):
        raise ValueError(
            "The two passes must have the same shape: one prediction for the same example "
            f"in the same place. Received: shapes {tuple(a.shape)} and {tuple(b.shape)}"
        )
    return a, b


def check_labels_fit(labels: Tensor, expected: Tensor) -> None:
    """Raises for labels that would have to be broadcast to meet their predictions."""
    if not _may_be_equal(tuple(labels.shape), tuple(expected.shape)):
        raise ValueError(
            "Labels must have the shape of what they are compared with. Received: labels of "
            f"shape {tuple(labels.shape)} for predictions of shape {tuple(expected.shape)}"
        )


def check_last_axis(a: Tensor) -> None:
    """Raises for a scalar, which has no axis of classes or units."""
    if len(a.shape) == 0:
        raise ValueError(
            "Predictions must have at least one axis, that of the classes or units. "
            f"Received: shape {tuple(a.shape)}"
        )


def _may_be_equal(a: tuple[int | None, ...], b: tuple[int | None, ...]) -> bool:
    if len(a) != len(b):
        return False
    return all(m is None or n is None or m == n for m, n in zip(a, b, strict=True))
