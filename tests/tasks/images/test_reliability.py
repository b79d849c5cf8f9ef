from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from rdrop_tf.metrics.calibration import reliability_bins
from rdrop_tf.tasks.images import plot_reliability


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    figures: list[Figure] = []
    save = Figure.savefig

    def spy(self: Figure, *args: Any, **options: Any) -> None:
        figures.append(self)
        save(self, *args, **options)

    monkeypatch.setattr(Figure, "savefig", spy)
    return figures


def test_the_picture_shows_the_bins(drawn: list[Figure], tmp_path: Path) -> None:
    # Three rows with probability 3/4, two of them right, and one with 1/2.
    logits = np.log([[3.0, 1.0]] * 3 + [[1.0, 1.0]])
    bins = reliability_bins([0, 0, 1, 1], logits, bins=4)
    plot_reliability(tmp_path / "reliability.png", bins, "a title")
    assert matplotlib.image.imread(tmp_path / "reliability.png").shape[0] > 600

    calibration, rows = drawn[0].axes
    assert [bar.get_height() for bar in calibration.patches] == pytest.approx([0, 2 / 3])
    assert [bar.get_x() for bar in calibration.patches] == [0.25, 0.5]
    points = calibration.lines[1]
    np.testing.assert_allclose(points.get_xdata(), [0.5, 0.75])
    np.testing.assert_allclose(points.get_ydata(), [0, 2 / 3])
    assert [bar.get_height() for bar in rows.patches] == [0, 25, 75, 0]
    assert calibration.get_title() == "expected calibration error 18.75 %"
    assert rows.get_ylabel() == "% of 4 rows"
    assert drawn[0].get_suptitle() == "a title"
