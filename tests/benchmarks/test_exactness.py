"""The matrix of exactness runs on three replicas, and says how far apart they are."""

import csv
from pathlib import Path

import pytest

from benchmarks import exactness

pytestmark = pytest.mark.tensorflow


def test_smoke_mode_writes_every_figure(tmp_path: Path) -> None:
    out = tmp_path / "exactness.csv"
    exactness.main(["--smoke", "--out", str(out)])
    rows = list(csv.DictReader(out.read_text("utf-8").splitlines()))
    assert [(row["case"], row["devices"]) for row in rows] == [
        (case, "3 replicas") for case in exactness.SMOKE_CASES
    ]
    assert all(float(row["weights"]) <= 1e-6 for row in rows)
    assert all(float(row["logs"]) <= 1e-6 for row in rows)
    assert all(float(row["kl"]) > 1e-4 for row in rows)


def test_the_kept_figures_are_of_all_cases_and_within_the_bound() -> None:
    rows = exactness.report.read(exactness.report.RESULTS / "exactness.csv")
    assert {(row["case"], row["devices"]) for row in rows} == {
        (case, name) for case in exactness.CASES for name, *_ in exactness.DEVICES
    }
    assert max(float(row["weights"]) for row in rows) <= 1e-6
