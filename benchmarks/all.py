"""Runs all benchmarks of cost, one after the other.

    python -m benchmarks.all                 about half an hour on 2 cores
    python -m benchmarks.all --smoke         about a minute, to see that they run
    python tools/cost_tables.py              then puts the figures into docs/cost.md

Each runs in a process of its own, so that none inherits the memory and the threads of another.
Arguments: --smoke, --out FOLDER for the csv files, --torch-python for `benchmarks.head_cost`.
`benchmarks.accelerator` is not among them: it is for a machine with one.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.report import RESULTS

NAMES = ("step", "prefix", "head_cost", "head_memory", "sweep")


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--smoke", action="store_true")
    options.add_argument("--torch-python", help="an interpreter that can import torch")
    options.add_argument("--out", type=Path, default=RESULTS)
    chosen = options.parse_args(argv)
    if chosen.smoke and chosen.out == RESULTS:
        options.error("--smoke needs --out FOLDER: its figures must not replace real ones")
    failed = [name for name in NAMES if run(command(name, chosen))]
    for name in failed:
        print(f"benchmarks.{name} failed", file=sys.stderr)
    return int(bool(failed))


def command(name: str, chosen: argparse.Namespace) -> list[str]:
    words = [sys.executable, "-m", f"benchmarks.{name}"]
    words += ["--out", str(chosen.out.resolve() / f"{name}.csv")]
    words += ["--smoke"] if chosen.smoke else []
    if name == "head_cost" and chosen.torch_python:
        words += ["--torch-python", chosen.torch_python]
    return words


def run(words: list[str]) -> int:
    print(f"\n$ {' '.join(words)}", flush=True)
    return subprocess.run(words, cwd=Path(__file__).parent.parent).returncode


if __name__ == "__main__":
    sys.exit(main())
