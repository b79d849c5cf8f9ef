"""Processes that are killed: forked from one that has imported everything and run nothing."""

import multiprocessing
import os
import random
import resource
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rdrop_tf.training.checkpoint_store import Checkpoint, CheckpointStore


def run(function: Callable[..., Any], *args: Any, **options: Any) -> int:
    """Runs a function in a process of its own; returns its exit code, -9 if it was killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, function.__module__])
    process = context.Process(target=function, args=args, kwargs=options)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def kill_after(seconds: float) -> None:
    """Kills this process by SIGKILL, wherever it will be then."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()


def write_for_ever(folder: Path, seconds: float) -> None:
    """Writes checkpoints whose arrays all hold their step, until it is killed."""
    store = CheckpointStore(folder)
    newest = store.newest()
    step = 0 if newest is None else newest.step
    kill_after(seconds)
    while True:
        step += 1
        arrays = {name: np.full(50_000, step, "int64") for name in ("weights", "moments")}
        store.write(Checkpoint(step, arrays, {"step": step}))


def kill_writers(folder: Path, times: int, seed: int) -> list[int]:
    """Kills writers one after the other; returns the steps found after each.

    Raises:
        AssertionError: If what is found is a mix of two steps, or warns.
    """
    generator, steps = random.Random(seed), []
    for _ in range(times):
        assert run(write_for_ever, folder, generator.uniform(0.0, 0.05)) == -signal.SIGKILL
        newest = CheckpointStore(folder).newest()
        if newest is not None:
            values = {int(v) for array in newest.arrays.values() for v in np.unique(array)}
            assert values == {newest.step} == {newest.facts["step"]}
        steps.append(0 if newest is None else newest.step)
    return steps


def write_beyond_the_limit(folder: Path) -> None:
    """Writes one checkpoint that fits, and one that the system does not take."""
    store = CheckpointStore(folder)
    store.write(Checkpoint(1, {"a": np.ones(10)}))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    with pytest.raises(OSError, match="File too large"):
        store.write(Checkpoint(2, {"a": np.ones(10_000)}))


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
