"""The benchmark of the shared prefix runs, and its sizes are those the rule is about."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest

from benchmarks import prefix, report
from rdrop_tf.models.choice import LEAST_SHARE, choose


def test_smoke_mode_writes_every_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def in_this_process(words: list[str], **options: Any) -> None:
        """Does what the backend's process would: to start one takes longer than to measure."""
        assert words[:3] == [sys.executable, "-m", "benchmarks.prefix"]
        assert options["env"]["KERAS_BACKEND"] == keras.backend.backend()
        assert (options["cwd"] / "benchmarks" / "prefix.py").is_file()
        assert options["check"]
        prefix.main(words[3:])

    monkeypatch.setattr(subprocess, "run", in_this_process)
    out = tmp_path / "prefix.csv"
    prefix.main(["--smoke", "--out", str(out), "--backends", keras.backend.backend()])
    rows = report.read(out)
    assert [(row["model"], row["auto"]) for row in rows] == [
        (model, forward) for model in prefix.MODELS for forward in prefix.FORWARDS
    ]
    assert all(float(row["over two_calls"]) > 0 for row in rows)
    assert {row["backend"] for row in rows} == {keras.backend.backend()}
    # One of three equal layers: a third, of which the second pass is saved.
    assert float(rows[1]["estimate"]) == pytest.approx(1 - 1 / 6, abs=5e-3)
    assert list(tmp_path.iterdir()) == [out]
    assert "x two_calls, estimate" in capsys.readouterr().out


@pytest.mark.parametrize("build", prefix.MODELS.values(), ids=list(prefix.MODELS))
def test_the_sizes_lie_on_both_sides_of_the_rule(build: prefix.Build) -> None:
    shares = []
    for before in prefix.PREFIXES:
        cost = choose(build(prefix.DEPTH, before), "shared_prefix").cost
        assert cost is not None
        shares.append(cost.step_share)
    assert shares[0] < shares[1] < LEAST_SHARE * 1.02 < shares[2]
    assert shares[0] == 0
    assert shares[-1] > 0.7
