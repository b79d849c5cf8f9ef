"""What a few paired runs allow to say: a difference, its interval, and a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class PairedDifference:
    """The mean difference of paired runs and its 95 % interval.

    `low` and `high` equal `mean` where all differences are the same: a spread of 0 in a few
    runs says nothing about the spread of more, so that is never taken as a proof.
    """

    mean: float
    low: float
    high: float
    pairs: int

    @property
    def shows_a_difference(self) -> bool:
        """Whether the interval exists and leaves out 0."""
        return self.low < self.high and (self.low > 0 or self.high < 0)


def paired_difference(baseline: Sequence[float], other: Sequence[float]) -> PairedDifference:
    """Compares runs that share all but one thing, seed by seed.

    The interval is Student's, mean ± t · s / √n with n - 1 degrees of freedom, of the n
    differences `other - baseline`.

    Args:
        baseline: One figure a seed.
        other: The figures of the same seeds, in the same order.

    Returns:
        The mean difference with its 95 % interval.

    Raises:
        ValueError: If the lengths differ or there are fewer than two pairs.

    Example:
    >>> result = paired_difference([88.0, 90.0, 89.0], [89.0, 90.5, 90.5])
    >>> print(f"{result.mean:.2f} from {result.low:.2f} to {result.high:.2f}")
    1.00 from -0.24 to 2.24
    """
    if len(baseline) != len(other):
        raise ValueError(
            f"paired figures must come in equal numbers; got {len(baseline)} and {len(other)}"
        )
    if len(baseline) < 2:
        raise ValueError(f"an interval needs at least 2 pairs; got {len(baseline)}: add seeds")
    differences = np.asarray(other, float) - np.asarray(baseline, float)
    mean = float(differences.mean())
    reach = float(stats.sem(differences) * stats.t.ppf((1 + CONFIDENCE) / 2, len(differences) - 1))
    return PairedDifference(mean, mean - reach, mean + reach, len(differences))


def verdict(difference: PairedDifference, subject: str, figure: str, unit: str) -> str:
    """Says in a sentence what the interval allows to say, and no more.

    Args:
        difference: What `paired_difference` returned.
        subject: What was changed, for example "alpha 1 instead of 0".
        figure: What was measured, for example "test accuracy".
        unit: What stands behind a difference, for example "points".

    Returns:
        One or two sentences.

    Example:
    >>> difference = paired_difference([88.0, 90.0, 89.0], [89.0, 90.5, 90.5])
    >>> print(verdict(difference, "alpha 1 instead of 0", "test accuracy", "points"))
    No difference shown: with alpha 1 instead of 0, test accuracy changed by +1.00 points on
    average over 3 seeds, and the 95 % interval from -0.24 to +2.24 contains 0.
    """
    measured = f"{figure} changed by {difference.mean:+.2f} {unit} on average"
    if difference.low == difference.high:
        return (
            f"No difference shown: with {subject}, {measured}, by the same amount in all "
            f"{difference.pairs} seeds, and a spread of 0 gives no interval: add seeds."
        )
    interval = f"the 95 % interval from {difference.low:+.2f} to {difference.high:+.2f}"
    if not difference.shows_a_difference:
        return (
            f"No difference shown: with {subject}, {measured} over {difference.pairs} seeds, "
            f"and {interval} contains 0."
        )
    direction = "higher" if difference.mean > 0 else "lower"
    return (
        f"A difference is shown: with {subject}, {figure} is {direction}, by "
        f"{abs(difference.mean):.2f} {unit} on average over {difference.pairs} seeds; {interval} "
        "leaves out 0."
    )
