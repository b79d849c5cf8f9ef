"""How far several devices are from one, which trains on the same batches.

    python -m benchmarks.exactness           about 15 minutes on 2 cores
    python -m benchmarks.exactness --smoke   one case on 3 replicas

Trains each case of `exactness_cases` on one device, on 1, 2 and 3 replicas of a
`MirroredStrategy`, and on 2 processes of a `MultiWorkerMirroredStrategy` that talk over the
loopback: 5 steps each. Writes the largest difference of a weight, and of a logged value, from
those of the one device to benchmarks/results/exactness.csv.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from benchmarks import report
from benchmarks.exactness_cases import CASES, train

# Name, strategy, replicas or processes.
DEVICES = (
    ("1 replica", "mirrored", 1),
    ("2 replicas", "mirrored", 2),
    ("3 replicas", "mirrored", 3),
    ("2 processes", "multiworker", 2),
)
SMOKE_CASES = ("an empty replica",)
Results = dict[str, Any]


def main(argv: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--smoke", action="store_true")
    options.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options.add_argument("--out", type=Path, default=report.RESULTS / "exactness.csv")
    options.add_argument("--one", help=argparse.SUPPRESS)
    chosen = options.parse_args(argv)
    if chosen.one:
        part(**json.loads(chosen.one))
        return
    cases = SMOKE_CASES if chosen.smoke else chosen.cases
    devices = DEVICES[2:3] if chosen.smoke else DEVICES
    with tempfile.TemporaryDirectory() as folder:
        one = run("none", 1, cases, Path(folder) / "none")
        rows = []
        for name, strategy, count in devices:
            several = run(strategy, count, cases, Path(folder) / f"{strategy}{count}")
            rows += [row(case, name, one, several) for case in cases]
    report.write(chosen.out, rows)


def run(strategy: str, count: int, cases: Any, path: Path) -> Results:
    """Trains the cases in a process of its own, or in several."""
    processes = count if strategy == "multiworker" else 1
    hosts = ",".join(f"localhost:{port}" for port in free_ports(processes))
    running = []
    for index in range(processes):
        words = {"strategy": strategy, "count": count, "cases": list(cases), "path": str(path)}
        environment = os.environ | {"WORKER_HOSTS": hosts, "WORKER_INDEX": str(index)}
        command = [sys.executable, "-m", "benchmarks.exactness", "--one", json.dumps(words)]
        running.append(subprocess.Popen(command, env=environment, cwd=Path(__file__).parent.parent))
    wait(running)
    with np.load(path.with_suffix(".npz")) as file:
        return dict(file)


def wait(running: list[subprocess.Popen[bytes]]) -> None:
    """Waits for all processes; one that fails ends the others."""
    while any(process.poll() is None for process in running):
        if any(process.poll() for process in running):
            for process in running:
                process.kill()
        time.sleep(0.1)
    codes = [process.returncode for process in running]
    if any(codes):
        raise RuntimeError(f"the processes ended with the exit codes {codes}")


def free_ports(count: int) -> list[int]:
    """Finds ports that no one listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def part(strategy: str, count: int, cases: list[str], path: str) -> None:
    """Trains the cases in this process; the chief writes what came of them."""
    import tensorflow as tf

    from rdrop_tf.training import make_strategy

    if strategy == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        devices = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
        tf.config.set_logical_device_configuration(cpu, devices)
    made = make_strategy(strategy)
    results: Results = {}
    for name in cases:
        weights, logs = train(CASES[name], made.scope())
        results |= {f"{name}|weights|{place}": value for place, value in enumerate(weights)}
        results |= {f"{name}|logs|{log}": value for log, value in logs.items()}
        if made.is_chief:
            print(f"{strategy} {count}: {name}", flush=True)
    if made.is_chief:
        np.savez(Path(path).with_suffix(".npz"), **results)


def row(case: str, devices: str, one: Results, several: Results) -> report.Row:
    """Compares a case."""
    keys = [key for key in one if key.startswith(f"{case}|")]
    apart = {key: float(np.abs(several[key].astype("float64") - one[key]).max()) for key in keys}
    kl = one.get(f"{case}|logs|kl", np.array(0.0))
    return {
        "case": case,
        "devices": devices,
        "weights": f"{max(v for k, v in apart.items() if '|weights|' in k):.1e}",
        "logs": f"{max(v for k, v in apart.items() if '|logs|' in k):.1e}",
        "kl": float(kl),
    }


if __name__ == "__main__":
    main()
