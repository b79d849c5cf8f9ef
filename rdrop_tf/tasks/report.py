"""A comparison as text: the table, and what it allows to say."""

from rdrop_tf.tasks.comparison import AlphaRow, Comparison
from rdrop_tf.tasks.statistics import PairedDifference
from rdrop_tf.tasks.task import Metric

FURTHER_HEADER = ("test figure", "alpha", "mean", "difference", "95 % interval")
HEADER = ("alpha", "test mean", "range", "difference", "95 % interval", "ms/step", "validation")


def report(comparison: Comparison) -> str:
    """Writes a comparison as a table and sentences, in ASCII.

    Args:
        comparison: What `compare` found.

    Returns:
        Several lines.
    """
    metric = comparison.metric
    title = (
        f"{comparison.recipe.name}: test {_with_unit(metric)} on "
        f"{comparison.test_examples} examples, {len(comparison.seeds)} seeds, "
        f"{comparison.recipe.epochs} epochs each"
    )
    rows = [_cells(row, comparison.rows[0]) for row in comparison.rows]
    return "\n".join(
        [
            title,
            "",
            *_table([HEADER, *rows]),
            "",
            *comparison.verdicts,
            *_caveats(comparison),
            *_further(comparison),
        ]
    )


def _cells(row: AlphaRow, baseline: AlphaRow) -> tuple[str, ...]:
    difference, interval = _difference_cells(row.difference)
    speed = f"{row.milliseconds_per_step:.1f}"
    if row.difference is not None:
        speed += f" (x{row.milliseconds_per_step / baseline.milliseconds_per_step:.2f})"
    return (
        f"{row.alpha:g}",
        f"{row.test_mean:.2f}",
        f"{row.test_low:.2f} to {row.test_high:.2f}",
        difference,
        interval,
        speed,
        f"{row.validation_mean:.2f}",
    )


def _difference_cells(difference: PairedDifference | None) -> tuple[str, str]:
    if difference is None:
        return "-", "-"
    return f"{difference.mean:+.2f}", f"{difference.low:+.2f} to {difference.high:+.2f}"


def _further(comparison: Comparison) -> list[str]:
    """The figures beside the main one, where there are any."""
    if not comparison.further:
        return []
    rows = [
        (_with_unit(figure.metric), f"{row.alpha:g}", f"{mean:.2f}", *_difference_cells(difference))
        for figure in comparison.further
        for row, mean, difference in zip(
            comparison.rows, figure.means, figure.differences, strict=True
        )
    ]
    return ["", *_table([FURTHER_HEADER, *rows])]


def _with_unit(metric: Metric) -> str:
    return f"{metric.name} in {metric.unit}" if metric.unit else metric.name


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _caveats(comparison: Comparison) -> list[str]:
    """What the intervals do not cover."""
    caveats = [
        "The interval is over seeds (initial weights, order, dropout) on one split of this data, "
        "not over other data."
    ]
    if len(comparison.rows) > 2:
        caveats.append(
            "Each interval stands alone: the best of several alphas looks better than it is. "
            "Choose alpha by the validation column."
        )
    return caveats
