"""What a comparison of several alphas found, worked out from its runs."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks.statistics import PairedDifference, paired_difference, verdict
from rdrop_tf.tasks.task import Metric
from rdrop_tf.tasks.train import RunResult


@dataclass(frozen=True)
class AlphaRow:
    """One alpha's figures over all seeds, in the units that people read.

    `difference` is the test figure's to the baseline, seed by seed; None for the baseline
    itself. `milliseconds_per_step` is the median over the runs.
    """

    alpha: float
    test_mean: float
    test_low: float
    test_high: float
    validation_mean: float
    difference: PairedDifference | None
    milliseconds_per_step: float


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    `rows` has one entry an alpha, the baseline first; `verdicts` one sentence for each of the
    others; `runs` every run's own result.
    """

    recipe: Recipe
    metric: Metric
    test_examples: int
    seeds: Sequence[int]
    rows: Sequence[AlphaRow]
    verdicts: Sequence[str]
    runs: Sequence[RunResult]

    def as_dict(self) -> dict[str, Any]:
        """Returns it all as a dict that json can hold."""
        return {**asdict(self), "metric": self.metric._asdict()}


def summarise(
    recipe: Recipe, metric: Metric, test_examples: int, runs: Sequence[RunResult]
) -> Comparison:
    """Works out a comparison from its runs.

    Args:
        recipe: What was trained.
        metric: The figure it is judged by.
        test_examples: How many examples the test figure is of.
        runs: The runs: every alpha with every seed. The first run's alpha is the baseline.

    Returns:
        The comparison.
    """
    alphas = list(dict.fromkeys(run.alpha for run in runs))
    seeds = list(dict.fromkeys(run.seed for run in runs))
    by_key = {(run.alpha, run.seed): run for run in runs}
    groups = [[by_key[alpha, seed] for seed in seeds] for alpha in alphas]
    rows = [_row(metric, groups[0], group) for group in groups]
    verdicts = [
        verdict(
            row.difference,
            subject=f"alpha {row.alpha:g} instead of {alphas[0]:g}",
            figure=f"test {metric.name}",
            unit=metric.difference_unit,
        )
        for row in rows
        if row.difference is not None
    ]
    return Comparison(recipe, metric, test_examples, seeds, rows, verdicts, runs)


def _row(metric: Metric, baseline: list[RunResult], runs: list[RunResult]) -> AlphaRow:
    test = [metric.scale * run.test for run in runs]
    difference = None
    if runs is not baseline:
        difference = paired_difference([metric.scale * run.test for run in baseline], test)
    return AlphaRow(
        alpha=runs[0].alpha,
        test_mean=statistics.fmean(test),
        test_low=min(test),
        test_high=max(test),
        validation_mean=metric.scale * statistics.fmean(run.validation for run in runs),
        difference=difference,
        milliseconds_per_step=statistics.median(run.milliseconds_per_step for run in runs),
    )
