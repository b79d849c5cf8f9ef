"""Errors about the arguments of decoding."""

import math
from numbers import Integral, Real


def check_whole(name: str, value: object, least: int) -> None:
    """Raises unless the value is a whole number of at least so much."""
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"`{name}` must be a whole number >= {least}. Received: {name}={value!r}")


def check_beams(beams: int, n_best: int) -> None:
    """Raises unless there is a beam, and one for each hypothesis that is asked for."""
    check_whole("beams", beams, 1)
    check_whole("n_best", n_best, 1)
    if n_best > beams:
        raise ValueError(
            "`n_best` must not exceed `beams`: ask for fewer hypotheses or search with more "
            f"beams. Received: n_best={n_best!r} and beams={beams!r}"
        )


def check_finite(name: str, value: object) -> None:
    """Raises unless the value is a finite number."""
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"`{name}` must be a finite number. Received: {name}={value!r}")


def check_sampling(temperature: float, top_k: int | None, top_p: float) -> None:
    """Raises unless the arguments leave something to draw from."""
    check_finite("temperature", temperature)
    if temperature <= 0:
        raise ValueError(
            "`temperature` must be > 0; use `greedy` for the most probable tokens. "
            f"Received: temperature={temperature!r}"
        )
    if top_k is not None:
        check_whole("top_k", top_k, 1)
    check_finite("top_p", top_p)
    if not 0 < top_p <= 1:
        raise ValueError(
            "`top_p` must be a share above 0 and up to 1, where 1 keeps every token. "
            f"Received: top_p={top_p!r}"
        )
