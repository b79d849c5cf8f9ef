"""Learning curves, of one run or of several alphas."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rdrop_tf.tasks.consistency import PROBE_LOG
from rdrop_tf.tasks.run_folder import EpochCurves
from rdrop_tf.tasks.task import Metric

BASELINE_COLOR = "#6b6b6b"
COLORS = ("#d1495b", "#00798c", "#edae49", "#66a182", "#2e4057")


def plot_curves(
    path: Path, title: str, metric: Metric, groups: Mapping[float, Sequence[EpochCurves]]
) -> None:
    """Draws the learning curves of every alpha: how good, how well fitted, how consistent.

    A line is the mean over an alpha's runs, the band around it their range.

    Args:
        path: The picture's file.
        title: What stands above.
        metric: The figure of the first panel, of the validation part.
        groups: For every alpha the curves of its runs, as `read_columns` gives them.
    """
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    figure.suptitle(title, fontsize=12)
    quality, fit, consistency = figure.subplots(1, 3)
    for (alpha, runs), color in zip(groups.items(), _colors(list(groups)), strict=True):
        last = _draw(quality, runs, f"val_{metric.name}", color, metric.scale)
        quality.lines[-1].set_label(f"α = {alpha:g}: {last:.1f} {metric.unit} at the end")
        _draw(fit, runs, "ce", color)
        _draw(consistency, runs, PROBE_LOG, color)
    _name(quality, f"Validation {metric.name}", metric.unit)
    _name(fit, "Cross-entropy in training, dropout on", "nats per example")
    _name(consistency, "KL of two dropout passes, fixed examples", "nats per example")
    _look_past_the_start(quality)
    for axes in (fit, consistency):
        _scale_by_ratios(axes)
    quality.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=120)


def _draw(
    axes: Axes,
    runs: Sequence[EpochCurves],
    name: str,
    color: str,
    scale: float = 1.0,
) -> float:
    """Draws one alpha's line and band; returns the line's last value (NaN of an empty line)."""
    epochs, values = _known_points(runs, name)
    values = scale * values
    means = values.mean(axis=0)
    axes.plot(epochs, means, color=color, linewidth=1.8, marker="." if len(epochs) < 20 else "")
    if len(runs) > 1:
        low, high = values.min(axis=0), values.max(axis=0)
        axes.fill_between(epochs, low, high, color=color, alpha=0.18, linewidth=0)
    return float(means[-1]) if len(means) else math.nan


def _known_points(
    runs: Sequence[EpochCurves], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the epochs that have the figure, and the figures as (runs, epochs)."""
    columns = np.array([run[name] for run in runs], float)
    known = ~np.isnan(columns).any(axis=0)
    return np.array(runs[0]["epoch"], float)[known], columns[:, known]


def _name(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(title, fontsize=10.5)
    axes.set_xlabel("epoch")
    axes.set_ylabel(unit)
    axes.grid(True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _look_past_the_start(axes: Axes) -> None:
    """Cuts off the steep first sixth, beside which later differences cannot be seen."""
    lines = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    values = np.concatenate([line[len(line) // 6 :] for line in lines])
    low, high = values.min(), values.max()
    reach = (high - low) or 1.0  # a single point has none
    # Below is room for the legend.
    axes.set_ylim(low - 0.7 * reach, high + 0.5 * reach)


def _scale_by_ratios(axes: Axes) -> None:
    """Takes a logarithmic scale, where there is a positive figure to show on it."""
    if any((np.asarray(line.get_ydata(), float) > 0).any() for line in axes.lines):
        axes.set_yscale("log")
        axes.set_ylabel(f"{axes.get_ylabel()}, log scale")


def _colors(alphas: Sequence[float]) -> list[str]:
    """Grey for ordinary training, a colour of its own for every other alpha."""
    others = iter(COLORS * (1 + len(alphas) // len(COLORS)))
    return [next(others) if alpha else BASELINE_COLOR for alpha in alphas]
