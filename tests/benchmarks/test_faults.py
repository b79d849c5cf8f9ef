"""The benchmark of faults kills, goes on and compares."""

import csv
from pathlib import Path

import pytest

from benchmarks import faults

pytestmark = pytest.mark.tensorflow


def test_smoke_mode_writes_every_figure(tmp_path: Path) -> None:
    out = tmp_path / "faults.csv"
    faults.main(["--smoke", "--out", str(out)])
    rows = list(csv.DictReader(out.read_text("utf-8").splitlines()))
    assert [row["times"] for row in rows] == ["1"] * 3
    assert [row["right"] for row in rows] == ["1"] * 3
    assert [row["killed"] for row in rows if "random" not in row["fault"]] == ["1"] * 2


def test_the_kept_figures_are_of_every_step_and_200_kills() -> None:
    rows = faults.report.read(faults.report.RESULTS / "faults.csv")
    assert [row["times"] for row in rows] == ["15", "40", "4", "4", "200"]
    assert all(row["right"] == row["times"] for row in rows)
    assert [row["killed"] for row in rows if "random" not in row["fault"]] == [
        "15",
        "4",
        "4",
        "200",
    ]
