from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
from matplotlib.figure import Figure

from rdrop_tf.tasks.plots import plot_curves
from rdrop_tf.tasks.task import ACCURACY

RUN: dict[str, list[float | None]] = {
    "epoch": [1.0, 2.0, 3.0],
    "val_accuracy": [0.5, 0.7, 0.8],
    "ce": [2.0, 1.0, 0.5],
    "probe_kl": [None, 0.2, None],
}
BETTER = {**RUN, "val_accuracy": [0.6, 0.8, 1.0]}


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Figure:
    drawn: list[Figure] = []
    save = Figure.savefig

    def spy(self: Figure, *args: Any, **options: Any) -> None:
        drawn.append(self)
        save(self, *args, **options)

    monkeypatch.setattr(Figure, "savefig", spy)
    plot_curves(tmp_path / "plot.png", "a title", ACCURACY, {0.0: [RUN, BETTER], 1.0: [RUN]})
    assert matplotlib.image.imread(tmp_path / "plot.png").shape[1] > 1000
    return drawn[0]


def test_lines_are_means_in_the_units_of_the_axes(figure: Figure) -> None:
    quality, fit, consistency = figure.axes
    assert [list(line.get_ydata()) for line in quality.lines] == [
        pytest.approx([55, 75, 90]),
        pytest.approx([50, 70, 80]),
    ]
    assert list(fit.lines[0].get_ydata()) == [2.0, 1.0, 0.5]
    assert list(consistency.lines[0].get_xdata()) == [2]


def test_only_several_runs_have_a_band(figure: Figure) -> None:
    assert [len(axes.collections) for axes in figure.axes] == [1, 1, 1]


def test_every_axis_says_what_it_shows(figure: Figure) -> None:
    for axes in figure.axes:
        assert axes.get_xlabel() == "epoch"
        assert axes.get_ylabel()
        assert axes.get_title()
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["α = 0: 90.0 % at the end", "α = 1: 80.0 % at the end"]


def test_a_run_too_short_for_the_probe_is_drawn(tmp_path: Path) -> None:
    short = {**RUN, "probe_kl": [None, None, None]}
    plot_curves(tmp_path / "plot.png", "a title", ACCURACY, {0.0: [short, short]})
    assert (tmp_path / "plot.png").exists()
