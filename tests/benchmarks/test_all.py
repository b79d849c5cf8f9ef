import sys
from pathlib import Path

import pytest

from benchmarks import all as every_one


def test_every_benchmark_runs_and_failures_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs: list[list[str]] = []
    monkeypatch.setattr(every_one, "run", lambda words: runs.append(words) or "step" in words[2])
    words = ["--smoke", "--torch-python", "other", "--out", str(tmp_path)]
    assert every_one.main(words) == 1
    assert [run[:3] for run in runs] == [
        [sys.executable, "-m", f"benchmarks.{name}"] for name in every_one.NAMES
    ]
    assert runs[0][3:] == ["--out", str(tmp_path / "step.csv"), "--smoke"]
    assert [run[-1] == "other" for run in runs] == [False, False, True, False, False]
    assert "benchmarks.step failed" in capsys.readouterr().err


def test_smoke_figures_never_replace_real_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        every_one.main(["--smoke"])
    assert "--smoke needs --out FOLDER" in capsys.readouterr().err
