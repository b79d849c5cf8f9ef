"""How much memory the loss of a vocabulary head takes, forward and backward.

    python -m benchmarks.head_memory           about 2 minutes on 2 cores and 8 GB; Linux
    python -m benchmarks.head_memory --smoke   seconds

Each way runs in a process of its own. The figure is its peak resident memory above that of the
idle process, which has made its imports and its inputs; what the first call takes to trace and
compile is part of it. Writes benchmarks/results/head_memory.csv.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks import report
from benchmarks.heads import LOSSES, MODES, Sizes, head

CASES = (
    Sizes(rows=2048, features=512, classes=10_000),
    Sizes(rows=1024, features=256, classes=256_000),
)
SMOKE = (Sizes(rows=8, features=4, classes=10),)
WAYS = tuple((way, mode) for way in LOSSES for mode in MODES)
# The README formula holds some ten arrays of logits: more than most machines have.
MOST_LOGITS = 2**28
SMOKE_WAYS = (("plain", "graph"), ("linear_rdrop", "graph"))
CALLS = 3
MB = 1_000_000


def main(argv: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--smoke", action="store_true")
    options.add_argument("--out", type=Path, default=report.RESULTS / "head_memory.csv")
    options.add_argument("--one", help=argparse.SUPPRESS)
    chosen = options.parse_args(argv)
    if chosen.one:
        print(json.dumps(weigh(**json.loads(chosen.one))))
        return
    rows = []
    for sizes in SMOKE if chosen.smoke else CASES:
        rows += case(sizes, SMOKE_WAYS if chosen.smoke else ways(sizes))
    report.write(chosen.out, rows)


def ways(sizes: Sizes) -> tuple[tuple[str, str], ...]:
    """Returns the ways to weigh, without those that would not fit."""
    large = 2 * sizes.rows * sizes.classes > MOST_LOGITS
    return tuple(way for way in WAYS if not (large and way[0] == "README formula"))


def case(sizes: Sizes, ways: tuple[tuple[str, str], ...]) -> list[report.Row]:
    """Weighs all ways on the same sizes, prints and returns their rows."""
    print(f"\n2 × {sizes.rows} rows, {sizes.features} features, {sizes.classes:,} classes")
    rows: list[report.Row] = []
    for way, mode in ways:
        row = {"way": way, "mode": mode} | in_process(way, mode, sizes)
        rows.append(row)
        base = next(r for r in rows if (r["way"], r["mode"]) == ("plain", mode))
        row["over plain"] = row["megabytes"] / base["megabytes"] if base["megabytes"] else ""
        # The gradient of the kernel has to be returned, whatever the way to it.
        row["without gradient"] = row["megabytes"] - 4 * sizes.features * sizes.classes / MB
        row |= vars(sizes)
        print(
            f"  {way:16s} {mode:6s} {row['megabytes']:8.0f} MB, {row['without gradient']:8.0f} MB "
            f"beside the kernel's gradient, {row['over plain'] or 0:.2f} x plain"
        )
    return rows


def in_process(way: str, mode: str, sizes: Sizes) -> dict[str, Any]:
    words = json.dumps({"way": way, "mode": mode, "sizes": vars(sizes)})
    command = [sys.executable, "-m", "benchmarks.head_memory", "--one", words]
    home = Path(__file__).parent.parent
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=home)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def weigh(way: str, mode: str, sizes: dict[str, int]) -> dict[str, float]:
    """Runs one way in this process; returns megabytes above idle, and those when idle."""
    tensors = Sizes(**sizes).tensors()
    once = head(LOSSES[way], tensors, MODES[mode])
    forget_peak()  # before the look: memory that is freed in between is no negative growth
    idle = resident("VmRSS")
    for _ in range(CALLS):
        once()
    # The kernel counts both in steps of some pages a thread, so that no growth can look like less.
    return {"megabytes": max(0.0, resident("VmHWM") - idle), "idle_megabytes": idle}


def resident(field: str) -> float:
    """Reads a figure of this process in megabytes: VmRSS is now, VmHWM the peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / MB
    raise ValueError(f"/proc/self/status must hold {field!r}; it does on Linux")


def forget_peak() -> None:
    """Makes the kernel count the peak from now on: importing has one of its own."""
    Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main()
