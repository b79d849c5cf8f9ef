"""What a comparison of several alphas found, worked out from its runs."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks.statistics import PairedDifference, paired_difference, verdict
from rdrop_tf.tasks.task import Metric, Task
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
class FurtherFigure:
    """A further test figure: for each alpha the mean, and its difference to the baseline."""

    metric: Metric
    means: Sequence[float]
    differences: Sequence[PairedDifference | None]


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    `rows` has one entry an alpha, the baseline first; `verdicts` one sentence for each of the
    others; `further` the test figures beside the main one; `runs` every run's own result.
    """

    recipe: Recipe
    metric: Metric
    test_examples: int
    seeds: Sequence[int]
    rows: Sequence[AlphaRow]
    verdicts: Sequence[str]
    further: Sequence[FurtherFigure]
    runs: Sequence[RunResult]

    def as_dict(self) -> dict[str, Any]:
        """Returns it all as a dict that json can hold."""
        further = [{**asdict(figure), "metric": figure.metric._asdict()} for figure in self.further]
        return {**asdict(self), "metric": self.metric._asdict(), "further": further}


def summarise(task: Task, test_examples: int, runs: Sequence[RunResult]) -> Comparison:
    """Works out a comparison from its runs.

    Args:
        task: What was trained; its metrics are what is compared.
        test_examples: How many examples the test figure is of.
        runs: The runs: every alpha with every seed. The first run's alpha is the baseline.

    Returns:
        The comparison.
    """
    alphas = list(dict.fromkeys(run.alpha for run in runs))
    seeds = list(dict.fromkeys(run.seed for run in runs))
    by_key = {(run.alpha, run.seed): run for run in runs}
    groups = [[by_key[alpha, seed] for seed in seeds] for alpha in alphas]
    metric = task.metric
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
    further = [_further(metric, groups) for metric in task.more_metrics]
    return Comparison(task.recipe, metric, test_examples, seeds, rows, verdicts, further, runs)


def _row(metric: Metric, baseline: list[RunResult], runs: list[RunResult]) -> AlphaRow:
    test = _figures(metric, runs)
    return AlphaRow(
        alpha=runs[0].alpha,
        test_mean=statistics.fmean(test),
        test_low=min(test),
        test_high=max(test),
        validation_mean=metric.scale * statistics.fmean(run.validation for run in runs),
        difference=_difference(metric, baseline, runs),
        milliseconds_per_step=statistics.median(run.milliseconds_per_step for run in runs),
    )


def _further(metric: Metric, groups: list[list[RunResult]]) -> FurtherFigure:
    return FurtherFigure(
        metric,
        means=[statistics.fmean(_figures(metric, runs)) for runs in groups],
        differences=[_difference(metric, groups[0], runs) for runs in groups],
    )


def _difference(
    metric: Metric, baseline: list[RunResult], runs: list[RunResult]
) -> PairedDifference | None:
    if runs is baseline:
        return None
    return paired_difference(_figures(metric, baseline), _figures(metric, runs))


def _figures(metric: Metric, runs: Sequence[RunResult]) -> list[float]:
    return [metric.scale * run.test_figures[metric.name] for run in runs]
