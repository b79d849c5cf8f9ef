"""Times several ways to do the same work, in turns, so that the machine's moods hit all."""

import random
import time
from collections.abc import Callable, Mapping
from statistics import median


def interleaved(
    ways: Mapping[str, Callable[[], object]], rounds: int, repeats: int
) -> dict[str, list[float]]:
    """Times each way once a round, in an order drawn anew for each round.

    Args:
        ways: Functions by name; each must wait until its work is done.
        rounds: Rounds to time, after one that is not timed.
        repeats: Calls per timing.

    Returns:
        Milliseconds per call, one figure per round, by name.
    """
    order = list(ways)
    shuffle = random.Random(0).shuffle
    times: dict[str, list[float]] = {name: [] for name in order}
    for way in ways.values():
        way()
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            start = time.perf_counter()
            for _ in range(repeats):
                ways[name]()
            times[name].append((time.perf_counter() - start) / repeats * 1000)
    return times


def ratios(times: list[float], base: list[float]) -> list[float]:
    """Divides round by round: what slows both down in a round cancels."""
    return [a / b for a, b in zip(times, base, strict=True)]


def spread(values: list[float]) -> tuple[float, float, float]:
    """Returns the median and the 10th and 90th percentile."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return median(ordered), ordered[round(0.1 * last)], ordered[round(0.9 * last)]
