"""Lengths of pairs that are drawn."""

import numpy as np
from numpy.typing import NDArray


def long_tailed(pairs: int, spread: float, seed: int = 0) -> NDArray[np.int64]:
    """Draws log-normal lengths, median 20, the targets' ratio to them log-normal as well."""
    draws = np.random.default_rng(seed)
    source = np.exp(draws.normal(3.0, 0.6, pairs))
    target = source * np.exp(draws.normal(0.0, spread, pairs))
    return np.stack([source, target]).round().clip(1, 250).astype(np.int64)
