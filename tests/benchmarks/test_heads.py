"""The losses of a head that are compared are the same, and their benchmarks run."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from benchmarks import report

pytestmark = pytest.mark.tensorflow


def test_the_losses_are_the_same() -> None:
    from benchmarks import heads

    tensors = heads.Sizes(rows=5, features=3, classes=7).tensors()
    assert float(heads.readme(*tensors)) == pytest.approx(float(heads.linear(2)(*tensors)), 1e-6)
    same = (tensors[0][:1], *tensors[1:])
    assert float(heads.plain(*same)) == pytest.approx(float(heads.linear()(*same)), 1e-6)
    hidden = np.repeat(same[0], 2, axis=0)
    assert float(heads.readme(hidden, *tensors[1:])) == pytest.approx(float(heads.plain(*same)))


def test_the_torch_formula_is_the_papers() -> None:
    torch = pytest.importorskip("torch")
    from benchmarks import head_torch, heads
    from rdrop_tf.losses import linear_rdrop

    hidden, kernel, labels = heads.Sizes(rows=5, features=3, classes=7).arrays()
    arrays = (hidden.reshape(10, 3), kernel, labels.astype("int64"))
    theirs = float(head_torch.official(*map(torch.tensor, arrays)))
    ours = linear_rdrop(hidden, kernel, labels, alpha=heads.ALPHA, normalize="paper")
    assert theirs / 5 == pytest.approx(float(ours), 1e-5)


def test_cost_in_smoke_mode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import head_cost

    out = tmp_path / "cost.csv"
    head_cost.main(["--smoke", "--out", str(out)])
    rows = {(row["way"], row["mode"]): row for row in report.read(out)}
    modes = [(way, mode) for way in head_cost.LOSSES for mode in ("graph", "XLA")]
    assert list(rows)[:6] == modes
    for mode in ("graph", "XLA"):
        assert float(rows["plain", mode]["over plain"]) == 1.0
        assert float(rows["README formula", mode]["over README formula"]) == 1.0
        assert float(rows["linear_rdrop", mode]["over plain"]) > 0
    assert rows["plain", "XLA"]["keras"] == keras.__version__
    assert "x README formula" in capsys.readouterr().out


def test_another_process_takes_its_turns(tmp_path: Path) -> None:
    from benchmarks import head_cost, heads

    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 9.9\nwhile read line; do echo 1.5; done\n")
    script.chmod(0o755)
    sizes = heads.Sizes(1, 1, 2)
    with head_cost.torch_workers(str(script), sizes, ("eager",)) as (ways, version):
        assert version == "9.9"
        assert [way() for way in ways.values()] == [1.5]
    for none in ("false", None):
        with head_cost.torch_workers(none, sizes, ("eager",)) as (ways, version):
            assert (ways, version) == ({}, "")


def test_memory_in_smoke_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("counts a process' peak anew as Linux does")
    from benchmarks import head_memory

    def in_this_process(way: str, mode: str, sizes: Any) -> dict[str, float]:
        return head_memory.weigh(way, mode, vars(sizes))

    monkeypatch.setattr(head_memory, "in_process", in_this_process)
    out = tmp_path / "memory.csv"
    head_memory.main(["--smoke", "--out", str(out)])
    rows = report.read(out)
    assert [row["way"] for row in rows] == ["plain", "linear_rdrop"]
    assert all(float(row["idle_megabytes"]) > 50 for row in rows)
    assert all(float(row["megabytes"]) >= 0 for row in rows)
    assert "beside the kernel's gradient" in capsys.readouterr().out


def test_no_way_is_weighed_that_would_not_fit() -> None:
    from benchmarks import head_memory

    small, large = map(head_memory.ways, head_memory.CASES)
    assert set(small) - set(large) == {("README formula", mode) for mode in ("graph", "XLA")}
    assert ("plain", "XLA") in large


def test_sweeps_in_smoke_mode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import sweep

    out = tmp_path / "sweep.csv"
    names = ["rows", "chunk_size", "every"]
    sweep.main(["--smoke", "--out", str(out), "--only", *names])
    rows = report.read(out)
    of = {name: [row for row in rows if row["sweep"].startswith(name)] for name in names}
    assert sum(map(len, of.values())) == len(rows)
    assert {row["value"] for row in of["rows"]} == {"8", "9"}
    assert {row["value"] for row in of["chunk_size"]} == {"", "2", "8", "8 (the rule)"}
    assert [row["value"] for row in of["every"]] == ["", "1", "2"]
    assert all(float(row["over plain"]) == 1.0 for row in rows if row["way"] == "plain")
    assert "x plain" in capsys.readouterr().out
