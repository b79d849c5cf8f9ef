"""What a training step with R-Drop costs, against plain training and a loop by hand.

    python benchmarks/step.py                  about 5 minutes on 2 cores
    python benchmarks/step.py --smoke          seconds, to see that it runs

Times one optimizer step of each way in turns, in one process, and prints the median and the
10th to 90th percentile over the rounds. Ratios are taken round by round. Writes
benchmarks/results/step.csv; `python tools/cost_tables.py` puts it into docs/cost.md.
"""

import argparse
import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from benchmarks.models import SMOKE, WORKLOADS, Workload, loss
from benchmarks.timing import interleaved, ratios, spread
from rdrop_tf import RDropModel
from rdrop_tf.tasks.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "step.csv"
ALPHA = 1.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--smoke", action="store_true")
    options.add_argument("--out", type=Path, default=RESULTS)
    chosen = options.parse_args()
    rounds, repeats = (2, 1) if chosen.smoke else (chosen.rounds, chosen.repeats)
    rows = []
    for name, workload in (SMOKE if chosen.smoke else WORKLOADS).items():
        times = interleaved(ways(workload), rounds, repeats)
        rows += table(name, workload, times)
    write(chosen.out, rows)


def ways(workload: Workload) -> dict[str, Callable[[], object]]:
    """One step of each way, as a function that waits for its loss."""
    x, y = workload.batch()
    doubled = np.concatenate([x, x]), np.concatenate([y, y])
    return {
        "plain": keras_step(workload.build(), (x, y)),
        "plain, doubled batch": keras_step(workload.build(), doubled),
        "by hand": step_by_hand(workload.build(), (x, y)),
        "two_calls": keras_step(rdrop(workload, "two_calls"), (x, y)),
        "concat": keras_step(rdrop(workload, "concat"), (x, y)),
    }


def rdrop(workload: Workload, forward: str) -> RDropModel:
    return RDropModel(workload.build(), alpha=ALPHA, forward=forward)


def keras_step(model: keras.Model, batch: tuple[Any, Any]) -> Callable[[], object]:
    """The step that `fit` runs, on the same batch again and again."""
    model.compile(keras.optimizers.Adam(1e-4), loss())
    model.make_train_function()
    data = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: float(model.train_function(data)["loss"])


def step_by_hand(model: keras.Model, batch: tuple[Any, Any]) -> Callable[[], object]:
    """Two calls and the formula of the official README, as one writes it in TensorFlow."""
    optimizer = keras.optimizers.Adam(1e-4)
    cross_entropy = loss()
    data = iter(tf.data.Dataset.from_tensors(batch).repeat())

    def kl(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
        log_p, log_q = tf.nn.log_softmax(p), tf.nn.log_softmax(q)
        return tf.reduce_mean(tf.reduce_sum(tf.nn.softmax(p) * (log_p - log_q), -1))

    @tf.function
    def step(data: Any) -> tf.Tensor:
        x, y = next(data)
        with tf.GradientTape() as tape:
            first, second = model(x, training=True), model(x, training=True)
            ce = 0.5 * (cross_entropy(y, first) + cross_entropy(y, second))
            total = ce + ALPHA / 2 * 0.5 * (kl(first, second) + kl(second, first))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(total, variables), variables, strict=True))
        return total

    return lambda: float(step(data))


def table(name: str, workload: Workload, times: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Prints a workload's figures and returns them as rows."""
    print(f"\n{name}: {workload.words}")
    rows = []
    for way, values in times.items():
        middle, low, high = spread(values)
        row: dict[str, Any] = {"model": name, "way": way, "rounds": len(values)}
        row |= {"milliseconds": middle, "milliseconds_p10": low, "milliseconds_p90": high}
        for base in ("plain", "by hand"):
            ratio, least, most = spread(ratios(values, times[base]))
            key = f"over {base}"
            row |= {key: ratio, f"{key} p10": least, f"{key} p90": most}
        rows.append(row | {"words": workload.words})
        print(
            f"  {way:22s} {middle:8.1f} ms ({low:.1f} to {high:.1f})   "
            f"{row['over plain']:.2f} x plain   {row['over by hand']:.2f} x by hand"
        )
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes the rows with the machine and the versions beside them."""
    environment = describe_environment()
    machine = {
        "python": environment["python"],
        "keras": environment["versions"]["keras"],
        "tensorflow": environment["versions"]["tensorflow"],
        "processor": environment["processor"],
        "cores": environment["logical_cores"],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], *machine])
        writer.writeheader()
        for row in rows:
            rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
            writer.writerow(rounded | machine)
    print(f"\nwrote {path}")


if __name__ == "__main__":
    main()
