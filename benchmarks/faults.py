"""Trainings and checkpoints that are killed, many more times than the suite kills them.

    python -m benchmarks.faults           about 5 minutes on 2 cores; Linux
    python -m benchmarks.faults --smoke   two kills of each

- A training of 3 epochs is killed by SIGKILL before each of its 15 steps, goes on, and is compared
  with one that was not: weights, what the optimizer holds, logs and callbacks, bit for bit.
- It is killed at 40 random moments, one after the other, or until it has ended.
- A process that writes checkpoints without a pause is killed 200 times; after each kill there must
  be a whole checkpoint, all of one step.

Writes benchmarks/results/faults.csv.
"""

import argparse
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks import report
from tests.training import crashes, resumed

SMOKE = 2
Inflict = Callable[[Path, str, int], tuple[int, int]]


def main(argv: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--smoke", action="store_true")
    options.add_argument("--out", type=Path, default=report.RESULTS / "faults.csv")
    chosen = options.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        whole = outcome(Path(folder) / "whole")
        rows = [
            row(fault, inflict, Path(folder), whole, SMOKE if chosen.smoke else times)
            for fault, (inflict, times) in FAULTS.items()
        ]
    report.write(chosen.out, rows)


def row(fault: str, inflict: Inflict, home: Path, whole: str, times: int) -> report.Row:
    """Inflicts a fault; says how often the process was killed, and what was as it should be."""
    began = time.monotonic()
    killed, right = inflict(home, whole, times)
    seconds = time.monotonic() - began
    print(f"{fault}: {times} times, killed {killed}, right {right}, {seconds:.0f} s", flush=True)
    return {"fault": fault, "times": times, "killed": killed, "right": right, "seconds": seconds}


def before_each_step(home: Path, whole: str, n: int) -> tuple[int, int]:
    killed = right = 0
    for step in range(n):
        folder = home / f"step {step}"
        killed += crashes.run(train_and_die_at, folder, step) == -signal.SIGKILL
        right += outcome(folder) == whole
    return killed, right


def at_random_moments(home: Path, whole: str, n: int) -> tuple[int, int]:
    """One training, whose last process is right if all is as in the whole one."""
    folder = home / "random"
    ends = [
        crashes.run(resumed.train_and_die, folder, seed=seed, run_eagerly=True) for seed in range(n)
    ]
    return ends.count(-signal.SIGKILL), n if outcome(folder) == whole else 0


def in_writing(home: Path, whole: str, n: int) -> tuple[int, int]:
    steps = crashes.kill_writers(home / "writing", n, seed=0)
    rising = sum(later >= earlier for earlier, later in zip([0, *steps], steps, strict=False))
    return n, rising


# What is inflicted, how often.
FAULTS: dict[str, tuple[Inflict, int]] = {
    "SIGKILL before each step": (before_each_step, 15),
    "SIGKILL at random moments": (at_random_moments, 40),
    "SIGKILL in writing a checkpoint": (in_writing, 200),
}


def train_and_die_at(folder: Path, step: int) -> None:
    """For a process of its own."""
    resumed.train(folder, resumed.KillAt(step, 0.0), run_eagerly=True)


def outcome(folder: Path) -> str:
    """Trains to the end, from where the folder's checkpoints are, in a process of its own."""
    file = folder.with_suffix(".json")
    code = crashes.run(resumed.train_to_file, folder, file, run_eagerly=True)
    if code:
        raise RuntimeError(f"a training that goes on ended with the exit code {code}")
    return json.dumps(json.loads(file.read_text("utf-8")), sort_keys=True)


if __name__ == "__main__":
    main()
