"""What sharing the prefix saves, by its share of a step, the batch size and the backend.

    python -m benchmarks.prefix           about 6 minutes on 2 cores
    python -m benchmarks.prefix --smoke   seconds

Behind the rule by which `forward="auto"` decides. Each backend that is installed gets a process
of its own; there, `two_calls` and `shared_prefix` take turns on the same model. The estimate is
the one that `RDropModel.describe()` prints. Writes benchmarks/results/prefix.csv.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers

from benchmarks import report
from benchmarks.timing import interleaved
from rdrop_tf import RDropModel
from rdrop_tf.models.choice import LEAST_SHARE, choose

Build = Callable[[int, int], keras.Model]
BACKENDS = ("tensorflow", "jax")
DEPTH, CLASSES = 20, 10
# Layers before the noise, of DEPTH: the rule changes its mind at a share of 5 %.
PREFIXES = (0, 1, 2, 5, 10, 15)
FORWARDS = ("two_calls", "shared_prefix")
BATCHES = (4, 32, 256)
SMOKE = {"prefixes": (0, 1), "batches": (2,), "depth": 3, "rounds": 2}
FULL = {"prefixes": PREFIXES, "batches": BATCHES, "depth": DEPTH, "rounds": 20}


def main(argv: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--backends", choices=BACKENDS, nargs="*", default=list(BACKENDS))
    options.add_argument("--smoke", action="store_true")
    options.add_argument("--out", type=Path, default=report.RESULTS / "prefix.csv")
    options.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args(argv)
    if chosen.rows:
        chosen.rows.write_text(json.dumps(measure(**SMOKE if chosen.smoke else FULL)))
        return
    rows: list[report.Row] = []
    for backend in chosen.backends:
        if importlib.util.find_spec(backend) is None:
            print(f"{backend} is not installed")
            continue
        rows += in_process(backend, chosen)
    report.write(chosen.out, rows, {})


def in_process(backend: str, chosen: argparse.Namespace) -> list[report.Row]:
    """Measures one backend in a process of its own."""
    kept = chosen.out.with_suffix(f".{backend}.json")
    kept.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "benchmarks.prefix", "--rows", str(kept.resolve())]
    words += ["--smoke"] if chosen.smoke else []
    home = Path(__file__).parent.parent
    subprocess.run(words, check=True, cwd=home, env=os.environ | {"KERAS_BACKEND": backend})
    rows: list[report.Row] = json.loads(kept.read_text())
    kept.unlink()
    return rows


def measure(
    prefixes: tuple[int, ...], batches: tuple[int, ...], depth: int, rounds: int
) -> list[report.Row]:
    """Times all sizes on this backend, prints and returns their rows."""
    backend = keras.backend.backend()
    beside = {"backend": backend} | report.machine("tensorflow", "jax")
    rows = []
    for (kind, build), before, batch in product(MODELS.items(), prefixes, batches):
        ways = {forward: step(build(depth, before), forward, batch) for forward in FORWARDS}
        times = interleaved(ways, rounds, repeats=max(1, 64 // batch))
        cost = choose(build(depth, before), "shared_prefix").cost
        assert cost is not None
        row = {"model": kind, "share": cost.step_share, "batch": batch}
        row |= report.timed(times, "shared_prefix", FORWARDS[:1])
        row["estimate"] = cost.multiple(2, shared=True) / 2
        row["auto"] = choose(build(depth, before), "auto").forward
        rows.append(row | beside)
        print(
            f"{backend:10s} {kind:12s} share {cost.step_share:4.0%}  batch {batch:3d}  "
            f"{row['over two_calls']:.2f} ({row['over two_calls p10']:.2f} to "
            f"{row['over two_calls p90']:.2f}) x two_calls, estimate {row['estimate']:.2f}, "
            f"auto: {row['auto']} (from {LEAST_SHARE:.0%} on)",
            flush=True,
        )
    return rows


def step(model: keras.Model, forward: str, batch: int) -> Callable[[], object]:
    """One optimizer step, as a function that waits for its loss."""
    rdrop = RDropModel(model, alpha=1.0, forward=forward)
    rdrop.compile(
        keras.optimizers.SGD(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    draw = np.random.default_rng(0)
    x = draw.standard_normal((batch, *model.input_shape[1:]), np.float32)
    y = draw.integers(0, CLASSES, batch)
    return lambda: rdrop.train_on_batch(x, y)


def dense(depth: int, before: int, width: int = 256) -> keras.Model:
    """Dense layers of one width with dropout after some of them."""
    return _chain((width,), [layers.Dense(width, "relu") for _ in range(depth)], before)


def convolution(depth: int, before: int, width: int = 16) -> keras.Model:
    """Convolutions of one width with dropout after some of them."""
    conv = [layers.Conv2D(width, 3, padding="same", activation="relu") for _ in range(depth)]
    return _chain((16, 16, width), conv, before, layers.GlobalAveragePooling2D())


def _chain(
    shape: tuple[int, ...], body: list[layers.Layer], before: int, *last: layers.Layer
) -> keras.Model:
    noise = layers.Dropout(0.1)
    return keras.Sequential(
        [keras.Input(shape), *body[:before], noise, *body[before:], *last, layers.Dense(CLASSES)]
    )


MODELS: dict[str, Build] = {"dense": dense, "convolution": convolution}


if __name__ == "__main__":
    main()
