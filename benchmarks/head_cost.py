"""What the loss of a vocabulary head costs, forward and backward.

    python -m benchmarks.head_cost                                    about 3 minutes on 2 cores
    python -m benchmarks.head_cost --torch-python OTHER/bin/python    PyTorch from another venv
    python -m benchmarks.head_cost --smoke                            seconds

Times plain cross-entropy, the README formula and `linear_rdrop` on the same rows in turns, each
as a graph and compiled by XLA, and where torch is installed the official PyTorch formula, eager
and compiled, in processes that wait between their turns. Ratios are taken round by round, to
the same mode of the others. Writes benchmarks/results/head_cost.csv.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks import report
from benchmarks.heads import LOSSES, MODES, Sizes, head
from benchmarks.timing import interleaved

SIZES = Sizes(rows=2048, features=512, classes=10_000)
SMOKE = Sizes(rows=8, features=4, classes=10)
TORCH = "PyTorch, official"
Ways = dict[tuple[str, str], Callable[[], float | None]]


def main(argv: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--smoke", action="store_true")
    options.add_argument(
        "--torch-python",
        default=sys.executable if importlib.util.find_spec("torch") else None,
        help="an interpreter that can import torch",
    )
    options.add_argument("--out", type=Path, default=report.RESULTS / "head_cost.csv")
    chosen = options.parse_args(argv)
    sizes, rounds = (SMOKE, 2) if chosen.smoke else (SIZES, chosen.rounds)
    modes = ("eager",) if chosen.smoke else ("eager", "compiled")
    with torch_workers(chosen.torch_python, sizes, modes) as (ways, version):
        rows = measure(sizes, rounds, ways)
    beside = report.machine("tensorflow")
    report.write(chosen.out, rows, {**beside, "torch": version})


def measure(sizes: Sizes, rounds: int, others: Ways) -> list[report.Row]:
    """Times all ways in turns, prints and returns their rows."""
    tensors = sizes.tensors()
    ways: Ways = {
        (way, mode): head(loss, tensors, xla)
        for way, loss in LOSSES.items()
        for mode, xla in MODES.items()
    }
    times = interleaved(ways | others, rounds, repeats=1)
    rows = []
    for way, mode in times:
        bases = {name: (name, mode) for name in ("plain", "README formula")}
        bases |= {f"{TORCH} {other}": (TORCH, other) for other in ("eager", "compiled")}
        row = {"way": way, "mode": mode} | report.timed(times, (way, mode), bases)
        rows.append(row | vars(sizes))
        print(
            f"{way:20s} {mode:9s}{row['milliseconds']:8.1f} ms "
            f"({row['milliseconds_p10']:.1f} to {row['milliseconds_p90']:.1f})",
            *(
                f"  {row[f'over {base}']:.2f} x {base}"
                for base in bases
                if row[f"over {base}"] != ""
            ),
        )
    return rows


@contextmanager
def torch_workers(
    python: str | None, sizes: Sizes, modes: tuple[str, ...]
) -> Iterator[tuple[Ways, str]]:
    """Starts a process for each mode of the PyTorch loss; yields its ways and torch's version."""
    ways: Ways = {}
    version = ""
    workers: list[subprocess.Popen[str]] = []
    try:
        for mode in modes if python else ():
            worker = start_torch(str(python), sizes, mode)
            workers.append(worker)
            answer = read(worker)
            if not answer:
                print(f"PyTorch {mode} is left out: its process ended", file=sys.stderr)
                continue
            version = answer
            ways[TORCH, mode] = lambda worker=worker: ask(worker)
        yield ways, version
    finally:
        for worker in workers:
            worker.communicate("")


def start_torch(python: str, sizes: Sizes, mode: str) -> subprocess.Popen[str]:
    script = Path(__file__).with_name("head_torch.py")
    numbers = (sizes.rows, sizes.features, sizes.classes, os.cpu_count() or 1)
    words = [python, str(script), *map(str, numbers), *(["--compile"] if mode != "eager" else [])]
    pipe = subprocess.PIPE
    # Its log is of no interest unless it fails, and then the end of it stands on the screen.
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)


def read(worker: "subprocess.Popen[str]") -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def ask(worker: "subprocess.Popen[str]") -> float:
    """Lets a process run one round; returns its milliseconds as it measured them."""
    assert worker.stdin is not None
    worker.stdin.write("once\n")
    worker.stdin.flush()
    return float(read(worker))


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"{time.perf_counter() - start:.0f} s")
