"""Trainings and checkpoints that are killed, many more times than the suite kills them.

    python -m benchmarks.faults           about 10 minutes on 2 cores; Linux
    python -m benchmarks.faults --smoke   one kill of each of one process

- A training of 3 epochs is killed by SIGKILL before each of its 15 steps, goes on, and is compared
  with one that was not: weights, what the optimizer holds, logs and callbacks, bit for bit.
- It is killed at 40 random moments, one after the other, or until it has ended.
- Two processes train together; one of them is killed by SIGKILL, or asked to end by SIGTERM, at a
  random step, again and again, and what both end with is compared with a training that was not.
- A process that writes checkpoints without a pause is killed 200 times; after each kill there must
  be a whole checkpoint, all of one step.

Writes benchmarks/results/faults.csv.
"""

import argparse
import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks import report
from rdrop_tf._preemption import TRY_AGAIN
from tests.distribute import fleet
from tests.training import crashes, resumed

SMOKE = 1
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
            if not (chosen.smoke and "processes" in fault)
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


def of_two_processes(number: int) -> Inflict:
    """Ends one of two processes by a signal; both must end, and go on from where they were."""

    def inflict(home: Path, whole: str, n: int) -> tuple[int, int]:
        folder, generator, ended = home / f"two {number}", random.Random(number), 0
        folder.mkdir()
        for _ in range(n):
            codes = _two(folder, number, generator.randrange(3))
            wanted = [TRY_AGAIN] * 2 if number == signal.SIGTERM else [TRY_AGAIN, -number]
            ended += codes == wanted
        if _two(folder, 0, 0) != [0, 0]:
            return ended, 0
        found = [json.loads((folder / f"{worker}.json").read_text("utf-8")) for worker in (0, 1)]
        return ended, n if all(each["broken"] == each["whole"] for each in found) else 0

    return inflict


def _two(folder: Path, number: int, step: int) -> list[int]:
    words = ["tests.distribute.resuming", str(folder), str(number), str(step)]
    return [code for code, _ in fleet.wait(fleet.start(*words))]


def in_writing(home: Path, whole: str, n: int) -> tuple[int, int]:
    steps = crashes.kill_writers(home / "writing", n, seed=0)
    rising = sum(later >= earlier for earlier, later in zip([0, *steps], steps, strict=False))
    return n, rising


# What is inflicted, how often.
FAULTS: dict[str, tuple[Inflict, int]] = {
    "SIGKILL before each step": (before_each_step, 15),
    "SIGKILL at random moments": (at_random_moments, 40),
    "SIGKILL of one of 2 processes": (of_two_processes(signal.SIGKILL), 4),
    "SIGTERM of one of 2 processes": (of_two_processes(signal.SIGTERM), 4),
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
