"""What a training step costs on an accelerator: a Transformer language model, in bfloat16.

    python -m benchmarks.accelerator                        JAX; about 15 minutes on one GPU
    python -m benchmarks.accelerator --backend tensorflow   where TensorFlow sees the GPU
    python -m benchmarks.accelerator --smoke --out FILE     on any processor, in seconds

Plain training, a naive step (two calls and the README formula) and `RDropModel` with a
`VocabularyHead`, for Transformer base and big with 32,000 and 256,000 tokens. Each runs `fit` in
a process of its own, so that its peak memory is its own; a way that does not fit the memory keeps
a row that says so. The share of the chip's peak counts the matrix products a step cannot do
without, three for each of a forward pass, and no others. Needs Keras and the backend alone.
Writes benchmarks/results/accelerator.csv.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

HOME = Path(__file__).parent.parent
RESULTS = HOME / "benchmarks" / "results" / "accelerator.csv"
ALPHA = 1.0
# Dense bfloat16 operations a second, by how a device's name begins; the longest that fits counts.
PEAKS = {
    "NVIDIA H100": 989e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H200": 989e12,
    "NVIDIA A100": 312e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
}
# What stands in the output of a process whose step did not fit.
NO_MEMORY = ("RESOURCE_EXHAUSTED", "ResourceExhausted", "OOM when allocating", "Out of memory")


@dataclass(frozen=True)
class Case:
    """A language model and its batch.

    Attributes:
        name: What the table calls the model.
        depth: Layers.
        width: Features of a token.
        hidden: Features inside a feed-forward block.
        heads: Attention heads.
        vocabulary: Number of tokens.
        rows: Texts of a batch.
        length: Tokens of a text.
    """

    name: str
    depth: int
    width: int
    hidden: int
    heads: int
    vocabulary: int
    rows: int
    length: int

    @property
    def tokens(self) -> int:
        """Returns the tokens of a batch."""
        return self.rows * self.length

    def operations(self, passes: int) -> float:
        """Counts the operations of the matrix products of a step: forward, and twice backward."""
        blocks = 4 * self.width**2 + 2 * self.width * self.hidden + 2 * self.length * self.width
        one = 2 * (self.depth * blocks + self.width * self.vocabulary)
        return 3.0 * one * self.tokens * passes


_BASE = {"name": "base", "depth": 6, "width": 512, "hidden": 2048, "heads": 8}
_BIG = {"name": "big", "depth": 6, "width": 1024, "hidden": 4096, "heads": 16}
# A quarter of the texts with eight times the vocabulary, so that the naive step fits 80 GB.
CASES = tuple(
    Case(**model, vocabulary=vocabulary, rows=rows, length=256)  # type: ignore[arg-type]
    for model in (_BASE, _BIG)
    for vocabulary, rows in ((32_000, 64), (256_000, 16))
)
# Without a layer between embeddings and head: compiling one takes longer than all the rest.
SMOKE = (Case("smoke", 0, 8, 16, 2, 40, 4, 8),)
WAYS = (
    "plain",
    "plain, doubled batch",
    "naive",
    "two_calls, VocabularyHead",
    "concat, VocabularyHead",
    "concat, Dense head",
)
SMOKE_WAYS = ("plain", "naive", "concat, VocabularyHead")


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--backend", choices=("jax", "tensorflow"), default="jax")
    options.add_argument("--epochs", type=int, default=5, help="timed stretches of steps")
    options.add_argument("--steps", type=int, default=20, help="steps of a stretch")
    options.add_argument("--models", nargs="*", default=["base", "big"])
    options.add_argument("--smoke", action="store_true")
    options.add_argument("--out", type=Path, default=RESULTS)
    options.add_argument("--one", help=argparse.SUPPRESS)
    chosen = options.parse_args(argv)
    if chosen.one:
        print(json.dumps(measure(**json.loads(chosen.one))))
        return
    epochs, steps = (2, 2) if chosen.smoke else (chosen.epochs, chosen.steps)
    cases = SMOKE if chosen.smoke else [c for c in CASES if c.name in chosen.models]
    rows: list[dict[str, Any]] = []
    for case in cases:
        for way in SMOKE_WAYS if chosen.smoke else WAYS:
            run = in_this_process if chosen.smoke else in_process
            rows.append(run(way, case, epochs, steps, chosen.backend))
            say(rows[-1])
    write(chosen.out, rows, chosen.backend)


def in_process(way: str, case: Case, epochs: int, steps: int, backend: str) -> dict[str, Any]:
    """Measures one way in a new process; its row is without figures where memory is short."""
    words = {"way": way, "case": asdict(case), "epochs": epochs, "steps": steps}
    command = [sys.executable, "-m", "benchmarks.accelerator", "--one", json.dumps(words)]
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        # Otherwise the peak would be what was reserved.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    done = subprocess.run(command, cwd=HOME, env=environment, text=True, capture_output=True)
    row: dict[str, Any] = {"way": way, **asdict(case), "note": ""}
    if done.returncode == 0:
        return row | json.loads(done.stdout.splitlines()[-1])
    if any(word in done.stderr for word in NO_MEMORY):
        return row | {"note": "out of memory"}
    raise RuntimeError(f"'{way}' of {case} failed:\n{done.stderr[-4000:]}")


def in_this_process(way: str, case: Case, epochs: int, steps: int, backend: str) -> dict[str, Any]:
    """Measures one way here: in smoke mode the peaks matter less than the time to start."""
    os.environ["KERAS_BACKEND"] = backend
    return {"way": way, **asdict(case), "note": "", **measure(way, asdict(case), epochs, steps)}


def measure(way: str, case: dict[str, Any], epochs: int, steps: int) -> dict[str, Any]:
    """Measures one way in this process."""
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.utils.set_random_seed(0)
    sizes = Case(**case)
    seconds = step_seconds(build(way, sizes), batches(sizes, steps, way), epochs)
    middle, kind = median(seconds), device_kind()
    used = sizes.operations(1 if way == "plain" else 2) / middle
    peak = peak_of(kind)
    return {
        "device": kind,
        "epochs": epochs,
        "steps": steps,
        "milliseconds": 1000 * middle,
        "milliseconds_least": 1000 * min(seconds),
        "milliseconds_most": 1000 * max(seconds),
        # Tokens of the batch: an R-Drop step and a step on the doubled batch see each twice.
        "tokens_per_second": sizes.tokens / middle,
        "teraflops": used / 1e12,
        "share_of_peak": used / peak if peak else "",
        "peak_megabytes": peak_megabytes(),
    }


def build(way: str, case: Case) -> Any:
    """Makes the compiled model of a way."""
    import keras

    from benchmarks.language_model import causal_language_model
    from rdrop_tf import RDropModel

    forward, _, head = way.partition(", ")
    model = causal_language_model(
        vocabulary=case.vocabulary,
        length=case.length,
        depth=case.depth,
        width=case.width,
        heads=case.heads,
        hidden=case.hidden,
        # As in the recipes of the original; and without it the backend may fuse attention.
        attention_dropout=0.0,
        vocabulary_head=head == "VocabularyHead",
    )
    if forward == "naive":
        model = naive(model)
    elif forward != "plain":
        model = RDropModel(model, alpha=ALPHA, forward=forward)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.Adam(1e-4),
        None if forward == "naive" else cross_entropy,
        jit_compile=True,
    )
    return model


def naive(model: Any) -> Any:
    """Wraps a model as one does by hand: two calls, and the formula of the official README."""
    import keras
    from keras import ops

    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def kl(p: Any, q: Any) -> Any:
        p, q = ops.cast(p, "float32"), ops.cast(q, "float32")
        gap = ops.log_softmax(p) - ops.log_softmax(q)
        return ops.mean(ops.sum(ops.softmax(p) * gap, axis=-1))

    class Naive(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def call(self, x: Any, training: bool = False) -> Any:
            return self.inner(x, training=training), self.inner(x, training=training)

        def compute_loss(
            self,
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> Any:
            first, second = y_pred
            ce = 0.5 * (cross_entropy(y, first) + cross_entropy(y, second))
            return ce + ALPHA / 2 * 0.5 * (kl(first, second) + kl(second, first))

    return Naive()


def batches(case: Case, steps: int, way: str) -> tuple[Any, Any, int]:
    """Draws tokens and labels of some steps; returns them with the rows of a batch."""
    import numpy as np

    draw = np.random.default_rng(0)
    rows = case.rows * (2 if way == "plain, doubled batch" else 1)
    shape = (rows * steps, case.length)
    x, y = (draw.integers(0, case.vocabulary, shape, np.int32) for _ in range(2))
    return x, y, rows


def step_seconds(model: Any, data: tuple[Any, Any, int], epochs: int) -> list[float]:
    """Times `fit`: the mean of the steps of each epoch, after a first that is not timed.

    The device works ahead of Python within an epoch; its end waits for all of it.
    """
    import keras

    class Clock(keras.callbacks.Callback):
        seconds: list[float]

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            float(logs["loss"])
            self.seconds.append((time.perf_counter() - self.started) / (len(x) // rows))

    x, y, rows = data
    clock = Clock()
    clock.seconds = []
    model.fit(x, y, batch_size=rows, epochs=epochs + 1, shuffle=False, verbose=0, callbacks=[clock])
    return clock.seconds[1:]


def device_kind() -> str:
    """Returns the name of the device that trains."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return str(jax.local_devices()[0].device_kind)
    import tensorflow as tf

    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        return str(details.get("device_name", "GPU"))
    return "cpu"


def peak_of(kind: str) -> float | None:
    """Returns a device's operations a second, None for one that the table lacks."""
    found = [name for name in PEAKS if kind.startswith(name)]
    return PEAKS[max(found, key=len)] if found else None


def peak_megabytes() -> float | str:
    """Returns the most memory that the backend held on the device; "" where it does not say."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        statistics = jax.local_devices()[0].memory_stats() or {}
        held = statistics.get("peak_bytes_in_use")
    else:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        held = tf.config.experimental.get_memory_info("GPU:0")["peak"] if gpus else None
    return "" if held is None else held / 1e6


def say(row: dict[str, Any]) -> None:
    name = f"{row['name']:6s} {row['vocabulary']:8,d} {row['way']:26s}"
    if row["note"]:
        print(f"{name} {row['note']}", flush=True)
        return
    share = f"{row['share_of_peak']:.1%}" if row["share_of_peak"] else "unknown"
    memory = f"{row['peak_megabytes']:.0f} MB" if row["peak_megabytes"] else "unknown"
    print(
        f"{name} {row['milliseconds']:8.1f} ms {row['tokens_per_second']:10.0f} tokens/s, "
        f"share of the peak {share}, memory {memory}",
        flush=True,
    )


def write(path: Path, rows: list[dict[str, Any]], backend: str) -> None:
    """Writes the rows with the machine and the versions beside them."""
    os.environ.setdefault("KERAS_BACKEND", backend)
    from benchmarks import report

    report.write(path, rows, {"backend": backend, **report.machine("jax", "tensorflow")})


if __name__ == "__main__":
    main()
