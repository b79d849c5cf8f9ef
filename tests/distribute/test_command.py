"""`rdrop train` on two processes that Slurm's environment tells of each other."""

import json
from pathlib import Path

import pytest

from benchmarks.exactness import free_ports
from tests.distribute import fleet

pytestmark = pytest.mark.tensorflow


def test_two_tasks_of_slurm_train_one_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    line = ["train", "digits", "--epochs", "1", "--strategy", "multiworker", "--out", str(run)]
    slurm = {
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_TASKS_PER_NODE": "2",
        "WORKER_PORT": str(free_ports(1)[0]),
    }
    ends = fleet.wait(fleet.start_tasks(*line, **slurm))
    assert [code for code, _ in ends] == [0, 0], "\n".join(said[-3000:] for _, said in ends)
    for said in (f"writing to {run}", "100 %  epoch 1 of 1", "test accuracy"):
        assert said in ends[0][1]
        assert said not in ends[1][1], "the chief alone speaks"
    assert 0 < json.loads((run / "result.json").read_text("utf-8"))["test"] < 1
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoints",
        "config.json",
        "environment.json",
        "epochs.csv",
        "plot.png",
        "result.json",
        "steps.csv",
    ]
