import csv
from pathlib import Path

import pytest

from benchmarks import pipeline

pytestmark = pytest.mark.tensorflow


def test_smoke_mode_writes_a_row_a_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "ROWS", 200)
    out = tmp_path / "pipeline.csv"
    pipeline.main(["--batches", "4", "--recipes", "digits", "mrpc-small", "--out", str(out)])
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["recipe"] for row in rows] == ["digits", "mrpc-small"]
    for row in rows:
        batch, step = float(row["milliseconds_a_batch"]), float(row["milliseconds_a_step"])
        assert batch > 0
        assert float(row["share"]) == pytest.approx(batch / step, abs=1e-3)
    assert "mrpc-small" in capsys.readouterr().out
