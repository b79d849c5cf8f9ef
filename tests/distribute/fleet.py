"""Several processes that train together over the loopback."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.exactness import free_ports

ROOT = Path(__file__).parents[2]
SECONDS = 240.0


def start(module: str, *arguments: str, workers: int = 2) -> list[Any]:
    """Starts a module in several processes that know of each other."""
    hosts = ",".join(f"localhost:{port}" for port in free_ports(workers))
    return [
        _start(["-m", module, *arguments], {"WORKER_HOSTS": hosts, "WORKER_INDEX": str(index)})
        for index in range(workers)
    ]


def start_tasks(*line: str, tasks: int = 2, **slurm: str) -> list[Any]:
    """Starts the command `rdrop` in several processes, as `srun` would."""
    words = ["-c", "import sys, rdrop_launcher; sys.exit(rdrop_launcher.main())", *line]
    return [_start(words, {**slurm, "SLURM_PROCID": str(rank)}) for rank in range(tasks)]


def _start(words: list[str], variables: dict[str, str]) -> Any:
    return subprocess.Popen(
        [sys.executable, "-W", "error::UserWarning", *words],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", **variables},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait(processes: list[Any], seconds: float = SECONDS) -> list[tuple[int, str]]:
    """Returns the exit code of each process and what it said; kills those that take too long."""
    deadline = time.monotonic() + seconds
    ends = []
    for process in processes:
        try:
            said, _ = process.communicate(timeout=max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
        ends.append((process.returncode, said))
    return ends
