"""The picture of a model's calibration."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rdrop_tf.metrics.calibration import ReliabilityBins

_RIGHT, _GAP, _ROWS = "#00798c", "#d1495b", "#6b6b6b"


def plot_reliability(path: Path, bins: ReliabilityBins, title: str) -> None:
    """Draws accuracy over confidence, and below it how many rows are how confident.

    The bars show the accuracy of each bin, drawn where its mean confidence is; the line from
    a bar's end to the diagonal is the bin's part of the calibration error.

    Args:
        path: The picture's file.
        bins: As `reliability_bins` gives them.
        title: What stands above.
    """
    figure = Figure(figsize=(5.6, 6.4), layout="constrained")
    figure.suptitle(title, fontsize=12)
    calibration, rows = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _draw_calibration(calibration, bins)
    _draw_rows(rows, bins)
    figure.savefig(path, dpi=120)


def _draw_calibration(axes: Axes, bins: ReliabilityBins) -> None:
    filled = bins.counts > 0
    confidence, accuracy = bins.confidence[filled], bins.accuracy[filled]
    left, widths = bins.edges[:-1][filled], np.diff(bins.edges)[filled]
    axes.bar(left, accuracy, widths, align="edge", color=_RIGHT, alpha=0.35, edgecolor="white")
    axes.plot([0, 1], [0, 1], color=_ROWS, linestyle="--", linewidth=1, label="calibrated")
    axes.vlines(confidence, accuracy, confidence, color=_GAP, linewidth=1.6, label="gap")
    axes.plot(confidence, accuracy, ".", color=_RIGHT, markersize=8, label="accuracy of a bin")
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    axes.set_title(
        f"expected calibration error {100 * bins.calibration_error:.2f} %", fontsize=10.5
    )
    axes.legend(loc="upper left", frameon=False)
    _tidy(axes)


def _draw_rows(axes: Axes, bins: ReliabilityBins) -> None:
    shares = 100 * bins.counts / bins.counts.sum()
    axes.bar(
        bins.edges[:-1], shares, np.diff(bins.edges), align="edge", color=_ROWS, edgecolor="white"
    )
    axes.set_xlabel("confidence: probability of the chosen class")
    axes.set_ylabel(f"% of {bins.counts.sum():,} rows")
    _tidy(axes)


def _tidy(axes: Axes) -> None:
    axes.grid(True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
