"""What a training step with R-Drop costs, against plain training and a loop by hand.

    python -m benchmarks.step                  about 15 minutes on 2 cores
    python -m benchmarks.step --models lm      one model; the others' rows are kept
    python -m benchmarks.step --smoke          seconds, to see that it runs

Times one optimizer step of each way in turns, in one process, and prints the median and the
10th to 90th percentile over the rounds. Ratios are taken round by round. Writes
benchmarks/results/step.csv; `python tools/cost_tables.py` puts it into docs/cost.md.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from benchmarks import report
from benchmarks.models import ALPHA, SMOKE, WORKLOADS, Workload, loss
from benchmarks.timing import interleaved
from rdrop_tf import RDropModel

RESULTS = report.RESULTS / "step.csv"
FORWARDS = ("two_calls", "concat", "shared_prefix")
BASES = ("plain", "plain, doubled batch", "by hand", "by hand, XLA")


def main(argv: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=24)
    options.add_argument("--repeats", type=int, default=2)
    options.add_argument("--models", choices=WORKLOADS, nargs="*", default=list(WORKLOADS))
    options.add_argument("--smoke", action="store_true")
    options.add_argument("--out", type=Path, default=RESULTS)
    chosen = options.parse_args(argv)
    rounds, repeats = (2, 1) if chosen.smoke else (chosen.rounds, chosen.repeats)
    workloads = SMOKE if chosen.smoke else {name: WORKLOADS[name] for name in chosen.models}
    kept: dict[str, list[report.Row]] = {}
    if chosen.out.exists() and not chosen.smoke:
        for row in report.read(chosen.out):
            kept.setdefault(row["model"], []).append(dict(row))
    beside = report.machine("tensorflow")
    for name, workload in workloads.items():
        times = interleaved(ways(workload), rounds, repeats)
        kept[name] = [row | beside for row in table(name, workload, times)]
    order = [*WORKLOADS, *(set(kept) - set(WORKLOADS))]
    report.write(chosen.out, [row for name in order for row in kept.get(name, [])], {})


def ways(workload: Workload) -> dict[str, Callable[[], object]]:
    """One step of each way, as a function that waits for its loss."""
    x, y = workload.batch()
    doubled = np.concatenate([x, x]), np.concatenate([y, y])
    found = {
        "plain": keras_step(workload.build(), (x, y)),
        "plain, doubled batch": keras_step(workload.build(), doubled),
        "by hand": step_by_hand(workload.build(), (x, y)),
        "by hand, XLA": step_by_hand(workload.build(), (x, y), xla=True),
    }
    for forward in FORWARDS:
        found[forward] = keras_step(workload.rdrop(forward=forward), (x, y))
    if workload.with_head is not None:
        ordinary = RDropModel(workload.build(), alpha=ALPHA, forward="two_calls")
        found["two_calls, Dense head"] = keras_step(ordinary, (x, y))
    return found


def keras_step(model: keras.Model, batch: tuple[Any, Any]) -> Callable[[], object]:
    """The step that `fit` runs, on the same batch again and again."""
    model.compile(keras.optimizers.Adam(1e-4), loss())
    model.make_train_function()
    data = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: float(model.train_function(data)["loss"])


def step_by_hand(
    model: keras.Model, batch: tuple[Any, Any], xla: bool = False
) -> Callable[[], object]:
    """Two calls and the formula of the official README, as one writes it in TensorFlow."""
    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(model.trainable_variables)
    cross_entropy = loss()
    data = iter(tf.data.Dataset.from_tensors(batch).repeat())

    def kl(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
        log_p, log_q = tf.nn.log_softmax(p), tf.nn.log_softmax(q)
        return tf.reduce_mean(tf.reduce_sum(tf.nn.softmax(p) * (log_p - log_q), -1))

    @tf.function(jit_compile=xla)
    def step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            first, second = model(x, training=True), model(x, training=True)
            ce = 0.5 * (cross_entropy(y, first) + cross_entropy(y, second))
            total = ce + ALPHA / 2 * 0.5 * (kl(first, second) + kl(second, first))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(total, variables), variables, strict=True))
        return total

    return lambda: float(step(*next(data)))


def table(name: str, workload: Workload, times: dict[str, list[float]]) -> list[report.Row]:
    """Prints a workload's figures and returns them as rows."""
    print(f"\n{name}: {workload.words}")
    rows = []
    for way in times:
        row = {"model": name, "way": way} | report.timed(times, way, BASES)
        rows.append(row | {"words": workload.words})
        print(
            f"  {way:22s} {row['milliseconds']:8.1f} ms "
            f"({row['milliseconds_p10']:.1f} to {row['milliseconds_p90']:.1f})",
            *(f"  {row[f'over {base}']:.2f} x {base}" for base in BASES),
        )
    return rows


if __name__ == "__main__":
    main()
