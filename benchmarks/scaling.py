"""How training scales over processes on this machine, and a cost model that predicts it.

    python -m benchmarks.scaling            about 6 minutes on 2 cores
    python -m benchmarks.scaling --smoke

Every process has a core and a thread of its own. First two processes add up arrays of several
sizes, which gives the latency and the bandwidth of the loopback. Then models of several sizes are
trained, by one process, by two that know nothing of each other (so that they share the machine's
memory and heat), and by two that share each batch. The step of the latter is predicted from the
step of the former and the bytes of the gradients. Writes benchmarks/results/scaling.csv and, of
Transformer big on 8 to 512 accelerators, what the model says to scaling_prediction.csv.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks import report
from benchmarks.exactness import free_ports, wait
from benchmarks.scaling_model import Link, Machine, fit_link
from rdrop_tf.text.transformer_sizes import SIZES as SIZES_BY_NAME

# Megabytes that two processes add up.
SIZES = (0.004, 0.25, 1.0, 4.0, 16.0, 64.0)
# What differs from the size `tiny`, subwords, rows of each process.
MODELS: dict[str, tuple[dict[str, int], int, int]] = {
    "tiny, 4,000 subwords": ({}, 4000, 32),
    "tiny, 32,000 subwords": ({}, 32_000, 32),
    "tiny, 4,000 subwords, short batch": ({}, 4000, 8),
    "width 384, 4,000 subwords": ({"width": 384, "hidden": 1024}, 4000, 16),
}
SMOKE = {"smoke": ({"layers": 1, "width": 16, "hidden": 16}, 50, 2)}
TOKENS = 24
STEPS, ROUNDS = 12, 20


def main(argv: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--smoke", action="store_true")
    options.add_argument("--out", type=Path, default=report.RESULTS)
    options.add_argument("--one", help=argparse.SUPPRESS)
    chosen = options.parse_args(argv)
    if chosen.one:
        part(**json.loads(chosen.one))
        return
    names = list(SMOKE if chosen.smoke else MODELS)
    sizes = SIZES[:2] if chosen.smoke else SIZES
    work = {"models": names, "sizes": [], "smoke": chosen.smoke}
    alone = together(1, work)
    apart = together(1, work, copies=2)
    shared = together(2, {**work, "sizes": sizes})
    report.write(chosen.out / "scaling.csv", rows(names, sizes, alone[0], apart, shared))
    report.write(chosen.out / "scaling_prediction.csv", predicted_big())


def together(workers: int, work: dict[str, Any], copies: int = 1) -> list[dict[str, Any]]:
    """Runs processes that share batches, or copies of one alone; returns what each found."""
    with tempfile.TemporaryDirectory() as folder:
        running, paths = [], []
        hosts = ",".join(f"localhost:{port}" for port in free_ports(workers))
        for index in range(max(workers, copies)):
            paths.append(Path(folder) / f"{index}.json")
            core = sorted(os.sched_getaffinity(0))[index % len(os.sched_getaffinity(0))]
            own = {**work, "path": str(paths[-1]), "core": core, "workers": workers}
            environment = os.environ | {
                "WORKER_HOSTS": hosts,
                "WORKER_INDEX": str(index % workers),
                "TF_NUM_INTRAOP_THREADS": "1",
                "TF_NUM_INTEROP_THREADS": "1",
                "OMP_NUM_THREADS": "1",
            }
            command = [sys.executable, "-m", "benchmarks.scaling", "--one", json.dumps(own)]
            home = Path(__file__).parent.parent
            running.append(subprocess.Popen(command, env=environment, cwd=home))
        wait(running)
        return [json.loads(path.read_text("utf-8")) for path in paths]


def part(
    path: str, core: int, workers: int, models: list[str], sizes: list[float], smoke: bool
) -> None:
    """Measures in this process, on one core."""
    os.sched_setaffinity(0, {core})
    from rdrop_tf.training import make_strategy

    strategy = make_strategy("multiworker" if workers > 1 else "none")
    steps, rounds = (3, 3) if smoke else (STEPS, ROUNDS)
    found: dict[str, Any] = {
        "sums": [seconds_to_add_up(strategy.inner, size, rounds) for size in sizes],
        "steps": {},
    }
    for name in models:
        changes, subwords, rows = (SMOKE if smoke else MODELS)[name]
        found["steps"][name] = step_of(strategy, changes, subwords, rows * workers, steps)
    Path(path).write_text(json.dumps(found), "utf-8")


def seconds_to_add_up(strategy: Any, megabytes: float, rounds: int) -> float:
    """Times the sum of an array over the processes: the median."""
    import numpy as np
    import tensorflow as tf

    values = tf.constant(np.ones(max(1, round(megabytes * 1e6 / 4)), "float32"))

    def add_up(x: Any) -> Any:
        with tf.device(strategy.extended.worker_devices[0]):
            x = tf.identity(x)  # TensorFlow adds up nothing that is on no device
        return tf.distribute.get_replica_context().all_reduce("SUM", x)

    run = tf.function(lambda x: strategy.run(add_up, args=(x,)))
    seconds = []
    for _ in range(rounds + 2):
        begun = time.perf_counter()
        run(values).numpy()
        seconds.append(time.perf_counter() - begun)
    return median(seconds[2:])


def step_of(
    strategy: Any, changes: dict[str, int], subwords: int, rows: int, steps: int
) -> dict[str, Any]:
    """Times the steps of a model in `fit`; `rows` are those of all processes."""
    import keras
    import numpy as np

    from rdrop_tf import RDropModel
    from rdrop_tf.data import NumberedEpochs
    from rdrop_tf.losses import SmoothedSparseCategoricalCrossentropy
    from rdrop_tf.text import Transformer

    keras.utils.set_random_seed(0)
    with strategy.scope():
        network = Transformer.of_size("tiny", subwords, **changes)
        rdrop = RDropModel(network, alpha=5.0, forward="two_calls")
        loss = SmoothedSparseCategoricalCrossentropy(
            from_logits=True, label_smoothing=0.1, reduction="mean_with_sample_weight"
        )
        rdrop.compile(keras.optimizers.Adam(1e-4), loss)
    ids = np.random.default_rng(0).integers(4, subwords, (rows, TOKENS)).astype("int32")

    def read(numbers: Any) -> Any:
        import tensorflow as tf

        own = tf.gather(ids, numbers % rows)
        weights = tf.ones(tf.shape(own))
        return {"source": own, "target": own}, own, weights

    clock = _clock()
    data = NumberedEpochs(rows * (steps + 3), read, batch_size=rows)
    rdrop.fit(data, verbose=0, callbacks=[clock])
    size = sum(4 * int(np.prod(v.shape)) for v in rdrop.trainable_variables)
    return {"seconds": clock.seconds[3:], "bytes": size}


def _clock() -> Any:
    import keras

    class Clock(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self._begun = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seconds.append(time.perf_counter() - self._begun)

    return Clock()


def rows(
    names: list[str],
    sizes: tuple[float, ...],
    alone: dict[str, Any],
    apart: list[dict[str, Any]],
    shared: list[dict[str, Any]],
) -> list[report.Row]:
    """Puts measurements and predictions side by side."""
    sums = [max(times) for times in zip(*(each["sums"] for each in shared), strict=True)]
    link = fit_link([size * 1e6 for size in sizes], sums, devices=2)
    table: list[report.Row] = [
        _row(
            "sum", f"{size:g} MB", size * 1e6, measured=seconds, predicted=link.ring(2, size * 1e6)
        )
        for size, seconds in zip(sizes, sums, strict=True)
    ]
    for name in names:
        size = alone["steps"][name]["bytes"]
        one, two = (each["steps"][name]["seconds"] for each in apart)
        # A step of two ends with the slower one's.
        independent = median(max(pair) for pair in itertools.product(one, two))
        measured = max(median(each["steps"][name]["seconds"]) for each in shared)
        table.append(
            _row(
                "step",
                name,
                size,
                alone=median(alone["steps"][name]["seconds"]),
                independent=independent,
                measured=measured,
                predicted=independent + link.ring(2, size),
            )
        )
    for row in table:
        row["latency_microseconds"] = round(1e6 * link.latency, 1)
        row["gigabytes_per_second"] = round(link.bandwidth / 1e9, 3)
    return table


def _row(
    kind: str,
    name: str,
    size: float,
    *,
    measured: float,
    predicted: float,
    alone: float | None = None,
    independent: float | None = None,
) -> report.Row:
    milliseconds = lambda s: "" if s is None else round(1000 * s, 2)  # noqa: E731
    return {
        "kind": kind,
        "what": name,
        "bytes": round(size),
        "alone_ms": milliseconds(alone),
        "two_apart_ms": milliseconds(independent),
        "two_together_ms": milliseconds(measured),
        "predicted_ms": milliseconds(predicted),
        "predicted_by_measured": round(predicted / measured, 3),
        # Twice the rows in a step of two: 1 is twice the speed.
        "efficiency": "" if alone is None else round(alone / measured, 3),
    }


# What is assumed of the accelerators, and was not measured: NVIDIA's data sheet of an H100 SXM (989
# teraflops in bfloat16, NVLink of 450 GB/s each way), one network card of 400 Gb/s a device, and
# how much of them training gets.
SHARE_OF_PEAK = 0.35
H100 = Machine(
    flops=989e12 * SHARE_OF_PEAK,
    inside=Link(latency=3e-6, bandwidth=450e9 * 0.8),
    outside=Link(latency=10e-6, bandwidth=50e9 * 0.8),
    node=8,
)
DEVICES = (1, 8, 64, 512)
TOKENS_A_DEVICE = 4096
BIG_SUBWORDS = 32_768


def predicted_big() -> list[report.Row]:
    """Says what the model makes of Transformer big, with all and with nothing of it hidden."""
    count = weights(SIZES_BY_NAME["big"], BIG_SUBWORDS)
    operations, size = step_operations(count, TOKENS_A_DEVICE), 4 * count
    one = H100.seconds_of_a_step(1, operations, size, 0.0)
    table: list[report.Row] = []
    for devices in DEVICES:
        nothing, everything = (
            H100.seconds_of_a_step(devices, operations, size, overlap) for overlap in (0.0, 1.0)
        )
        table.append(
            {
                "devices": devices,
                "weights": count,
                "gradient_bytes": size,
                "tokens_a_device": TOKENS_A_DEVICE,
                "compute_ms": round(1000 * one, 2),
                "sum_ms": round(1000 * H100.seconds_to_add_up(devices, size), 2),
                "step_ms_nothing_hidden": round(1000 * nothing, 2),
                "efficiency_nothing_hidden": round(one / nothing, 3),
                "efficiency_all_hidden": round(one / everything, 3),
                "target_tokens_a_second": round(devices * TOKENS_A_DEVICE / nothing),
            }
        )
    return table


def weights(size: dict[str, Any], subwords: int) -> int:
    """Counts the weights of a Transformer with one vocabulary."""
    width, hidden, layers = size["width"], size["hidden"], size["layers"]
    attention = 4 * (width * width + width)
    feed_forward = 2 * width * hidden + hidden + width
    encoder = layers * (attention + feed_forward + 2 * 2 * width)
    decoder = layers * (2 * attention + feed_forward + 3 * 2 * width)
    return encoder + decoder + subwords * width


def step_operations(count: int, tokens: int) -> float:
    """Counts the operations of a step of a device: two passes, each forward and backward.

    Six for each weight and token (two forward, four backward): an encoder's weights see the source
    tokens, a decoder's and the vocabulary's the target tokens, here as many.
    """
    return 2 * 6.0 * count * tokens


if __name__ == "__main__":
    main()
