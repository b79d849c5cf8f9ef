"""How fast a Transformer for translation trains with R-Drop: target tokens a second.

    python -m benchmarks.translation --data DIR      about 15 minutes on 2 cores
    python -m benchmarks.translation --data DIR --torch-python OTHER/bin/python
    python -m benchmarks.translation --data DIR --sizes tiny    one size; others' rows are kept
    python -m benchmarks.translation --smoke         seconds, on made-up text, to see that it runs

DIR holds Multi30k: train.en and train.de, plain or gz. The same few batches of `TokenBatches`, in
memory, go through `RDropModel`, a loop by hand with all logits, and where torch is installed the
same network in PyTorch with the official formula on concatenated inputs, eager, in a process that
waits between its turns. All compute in float32, and the first two in mixed_bfloat16 as well. A
rate counts tokens that are no padding; rates are divided round by round. "input" is `TokenBatches`
alone, batch by batch through `tf.data` without prefetching: in `fit` it works while the model
trains, so its share of a step is an upper bound of what it costs.
Writes benchmarks/results/translation.csv.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from benchmarks import report
from benchmarks.head_cost import read
from benchmarks.timing import interleaved, ratios, spread
from rdrop_tf import RDropModel
from rdrop_tf.losses import SmoothedSparseCategoricalCrossentropy
from rdrop_tf.text import Transformer
from rdrop_tf.text.batches import Batch, TokenBatches
from rdrop_tf.text.find_parallel import find_parallel
from rdrop_tf.text.parallel import read_parallel
from rdrop_tf.text.parallel_text import ParallelText
from rdrop_tf.text.subwords import Subwords
from rdrop_tf.text.transformer_sizes import arguments_of

RESULTS = report.RESULTS / "translation.csv"
SOURCE, TARGET = "en", "de"
ALPHA, SMOOTHING, LEARNING_RATE = 5.0, 0.1, 1e-4
FORWARDS = ("two_calls", "concat")
# Who takes the step; with alpha 0 they have this before their names.
OURS, HAND, TORCH, INPUT = "rdrop_tf", "by hand", "pytorch", "input"
PLAIN = "alpha 0, "
HALF = "mixed_bfloat16"
# What the input is a share of.
STEPS = {"a step": f"{OURS}, concat", "a step of alpha 0": f"{PLAIN}{OURS}"}
Ways = dict[str, Callable[[], object]]


@dataclass(frozen=True)
class Workload:
    """A model and its batches.

    Attributes:
        size: A size of `Transformer.of_size`.
        vocabulary: Joint subwords of both languages.
        tokens: Tokens of a batch, padding included.
        batches: How many batches each way goes through in a round.
        rounds: Rounds that are timed.
        changes: What differs from the size.
    """

    size: str
    vocabulary: int
    tokens: int
    batches: int
    rounds: int
    changes: Mapping[str, Any] = field(default_factory=dict)

    def build(self, dtype: str = "float32") -> Transformer:
        return Transformer.of_size(self.size, self.vocabulary, dtype=dtype, **self.changes)

    def sizes(self) -> dict[str, Any]:
        """The arguments that PyTorch's model takes."""
        return {"vocabulary": self.vocabulary, **arguments_of(self.size), **self.changes}


WORKLOADS = {
    "tiny": Workload("tiny", vocabulary=8000, tokens=4096, batches=2, rounds=8),
    "iwslt": Workload("iwslt", vocabulary=8000, tokens=1024, batches=2, rounds=6),
}
SMALL = {"layers": 1, "width": 16, "hidden": 32, "heads": 2}
SMOKE = {"tiny": Workload("tiny", 300, tokens=64, batches=1, rounds=2, changes=SMALL)}


def main(argv: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, help="the folder of Multi30k")
    options.add_argument("--sizes", choices=WORKLOADS, nargs="*", default=list(WORKLOADS))
    options.add_argument("--rounds", type=int, help="rounds of each size")
    options.add_argument("--smoke", action="store_true")
    options.add_argument(
        "--torch-python",
        default=sys.executable if importlib.util.find_spec("torch") else None,
        help="an interpreter that can import torch",
    )
    options.add_argument("--out", type=Path, default=RESULTS)
    chosen = options.parse_args(argv)
    if chosen.data is None and not chosen.smoke:
        options.error("--data DIR is needed, the folder of Multi30k (or --smoke)")
    text = made_up_text() if chosen.smoke else multi30k(chosen.data, "train")
    workloads = SMOKE if chosen.smoke else {name: WORKLOADS[name] for name in chosen.sizes}
    kept: dict[str, list[report.Row]] = {}
    if chosen.out.exists() and not chosen.smoke:
        for row in report.read(chosen.out):
            kept.setdefault(row["size"], []).append(dict(row))
    beside = report.machine("tensorflow")
    for name, workload in workloads.items():
        rows, version = measure(workload, text, chosen.torch_python, chosen.rounds)
        kept[name] = [row | beside | {"torch": version} for row in rows]
    report.write(chosen.out, [row for name in WORKLOADS for row in kept.get(name, [])], {})


def multi30k(folder: Path, split: str) -> ParallelText:
    """Reads a part of the corpus: "train", "validation" or "test"."""
    return read_parallel(*find_parallel(folder, split, SOURCE, TARGET))


def made_up_text(lines: int = 64) -> ParallelText:
    """Sentences of a few random words."""
    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcdefghij"), draw.integers(2, 6))) for _ in range(60)]
    source, target = (
        [" ".join(draw.choice(words, draw.integers(2, 7))) for _ in range(lines)] for _ in range(2)
    )
    return ParallelText(source, target)


def joint_subwords(text: ParallelText, vocabulary: int) -> Subwords:
    """Trains one vocabulary for both languages."""
    return Subwords.train([*text.source, *text.target], vocabulary)


def measure(
    workload: Workload, text: ParallelText, torch_python: str | None, rounds: int | None = None
) -> tuple[list[report.Row], str]:
    """Times all ways of one size in turns; returns their rows and the version of torch."""
    subwords = joint_subwords(text, workload.vocabulary)
    batches = TokenBatches.from_text(text, subwords, subwords, tokens=workload.tokens)
    few = whole_batches(batches, workload.batches)
    with torch_worker(torch_python, workload, few) as (others, version):
        ways: Ways = {**ways_of(workload, few), **others, INPUT: next_batch(batches)}
        whole = {way: over_all(step, len(few)) for way, step in ways.items()}
        found = interleaved(whole, rounds or workload.rounds, repeats=1)
    times = {way: [ms / len(few) for ms in own] for way, own in found.items()}
    return table(workload, few, times), version


def over_all(step: Callable[[], object], batches: int) -> Callable[[], object]:
    """A step on each batch: as one call, so that the first, untimed one knows all shapes."""

    def run() -> None:
        for _ in range(batches):
            step()

    return run


def whole_batches(batches: TokenBatches, count: int) -> list[Batch]:
    """Returns the first batches that no empty rows fill up: PyTorch's attention of one is NaN."""
    whole = [i for i, planned in enumerate(batches.plan) if len(planned.indices) == planned.rows]
    return [batches[i] for i in whole[:count]]


# The ways


def ways_of(workload: Workload, batches: list[Batch]) -> Ways:
    """One step of each way in TensorFlow, as a function that waits for its loss."""
    ways: Ways = {
        f"{PLAIN}{OURS}": rdrop_step(RDropModel(workload.build(), alpha=0.0), batches),
        f"{PLAIN}{HAND}": step_by_hand(workload.build(), batches, 0.0),
    }
    for dtype, suffix in (("float32", ""), (HALF, f", {HALF}")):
        for forward in FORWARDS:
            model = RDropModel(workload.build(dtype), alpha=ALPHA, forward=forward)
            ways[f"{OURS}, {forward}{suffix}"] = rdrop_step(model, batches)
        ways[f"{HAND}{suffix}"] = step_by_hand(workload.build(dtype), batches, ALPHA)
    return ways


def in_memory(batches: list[Batch]) -> Any:
    """The batches again and again, of lengths that a graph does not know."""
    matrix, weights = tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None))
    signature = ({"source": matrix, "target": matrix}, matrix, weights)
    data = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)
    return iter(data.cache().repeat())


def rdrop_step(model: RDropModel, batches: list[Batch]) -> Callable[[], object]:
    """The step that `fit` runs, as the recipes for translation compile it."""
    loss = SmoothedSparseCategoricalCrossentropy(
        from_logits=True, label_smoothing=SMOOTHING, reduction="mean_with_sample_weight"
    )
    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss)
    model.optimizer.build(model.trainable_variables)
    model.make_train_function()
    data = in_memory(batches)
    return lambda: float(model.train_function(data)["loss"])


def step_by_hand(model: keras.Model, batches: list[Batch], alpha: float) -> Callable[[], object]:
    """Two calls of the model and the formula, as one writes them in TensorFlow."""
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build(model.trainable_variables)
    data = in_memory(batches)

    @tf.function(input_signature=data.element_spec)
    def step(x: dict[str, tf.Tensor], labels: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            first = tf.cast(model(x, training=True), tf.float32)
            if alpha:
                second = tf.cast(model(x, training=True), tf.float32)
                loss = loss_by_hand(first, second, labels, mask, alpha)
            else:
                loss = mean_over_tokens(cross_entropy(first, labels), mask)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return lambda: float(step(*next(data)))


def loss_by_hand(
    first: tf.Tensor, second: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor, alpha: float
) -> tf.Tensor:
    """The loss of the official README, of logits (batch, t, classes), over tokens alone."""
    ce = 0.5 * (cross_entropy(first, labels) + cross_entropy(second, labels))
    both = 0.5 * (kl(first, second) + kl(second, first))
    return mean_over_tokens(ce, mask) + alpha / 2 * mean_over_tokens(both, mask)


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The cross-entropy with label smoothing of each position."""
    log_p = tf.nn.log_softmax(logits)
    picked = tf.gather(log_p, labels, batch_dims=2)
    return -(1 - SMOOTHING) * picked - SMOOTHING * tf.reduce_mean(log_p, -1)


def kl(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    """KL(p | q) of each position."""
    log_p, log_q = tf.nn.log_softmax(p), tf.nn.log_softmax(q)
    return tf.reduce_sum(tf.nn.softmax(p) * (log_p - log_q), -1)


def mean_over_tokens(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values * mask) / tf.reduce_sum(mask)


def next_batch(batches: TokenBatches) -> Callable[[], object]:
    """Makes the next batch, when it is asked for and not before."""
    data = iter(batches.tf_dataset().repeat())
    return lambda: next(data)


# PyTorch


@contextmanager
def torch_worker(
    python: str | None, workload: Workload, batches: list[Batch]
) -> Iterator[tuple[Ways, str]]:
    """Starts the process of PyTorch's steps; yields its ways and torch's version."""
    if not python:
        print("PyTorch is left out: --torch-python names no interpreter that has it")
        yield {}, ""
        return
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "batches.npz"
        save_batches(kept, batches)
        worker = start_torch(python, kept, workload)
        try:
            version = read(worker)
            if not version:
                print("PyTorch is left out: its process ended", file=sys.stderr)
            alphas = {f"{PLAIN}{TORCH}": 0.0, TORCH: ALPHA} if version else {}
            yield {way: _turn(worker, alpha) for way, alpha in alphas.items()}, version
        finally:
            worker.communicate("")


def save_batches(path: Path, batches: list[Batch]) -> None:
    """Writes them for the other process."""
    arrays: dict[str, Any] = {}
    for i, (inputs, labels, _) in enumerate(batches):
        arrays |= {f"{side}_{i}": inputs[side] for side in ("source", "target")}
        arrays[f"labels_{i}"] = labels
    np.savez(path, **arrays)


def start_torch(python: str, batches: Path, workload: Workload) -> "subprocess.Popen[str]":
    settings = {
        "sizes": workload.sizes(),
        "label_smoothing": SMOOTHING,
        "alphas": [0.0, ALPHA],
    }
    script = Path(__file__).with_name("translation_torch.py")
    words = [python, str(script), str(batches), json.dumps(settings), str(os.cpu_count() or 1)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)


def _turn(worker: "subprocess.Popen[str]", alpha: float) -> Callable[[], object]:
    """Lets the process take one step; returns its milliseconds as it measured them."""

    def ask() -> float:
        assert worker.stdin is not None
        worker.stdin.write(f"{alpha:g}\n")
        worker.stdin.flush()
        return float(read(worker))

    return ask


# The figures


def table(
    workload: Workload, batches: list[Batch], times: dict[str, list[float]]
) -> list[report.Row]:
    """Prints a size's figures and returns them as rows."""
    tokens = sum(float(weights.sum()) for _, _, weights in batches) / len(batches)
    padded = sum(weights.size for _, _, weights in batches) / len(batches)
    print(f"\n{workload.size}: {tokens:.0f} target tokens a step, {padded:.0f} with padding")
    rows = []
    for way in times:
        row: report.Row = {"size": workload.size, "way": way} | report.timed(times, way, {})
        row |= shares(times) if way == INPUT else rates(times, way, tokens)
        rows.append(row | {"tokens": tokens, "tokens_with_padding": padded})
        print(line(row))
    return rows


def rates(times: dict[str, list[float]], way: str, tokens: float) -> report.Row:
    """Tokens a second, and how many times those of others they are."""
    row = _columns("tokens_per_second", [tokens / ms * 1000 for ms in times[way]])
    same_alpha = PLAIN if way.startswith(PLAIN) else ""
    bases = {name: same_alpha + name for name in (HAND, TORCH)} | {"alpha 0": f"{PLAIN}{OURS}"}
    for name, base in bases.items():
        if base in times:
            row |= _columns(f"times {name}", ratios(times[base], times[way]))
    return row


def shares(times: dict[str, list[float]]) -> report.Row:
    """What a batch takes, as a share of a step."""
    row: report.Row = {}
    for name, step in STEPS.items():
        row |= _columns(f"share of {name}", ratios(times[INPUT], times[step]))
    return row


def _columns(name: str, values: list[float]) -> report.Row:
    return dict(zip((name, f"{name} p10", f"{name} p90"), spread(values), strict=True))


def line(row: report.Row) -> str:
    """One printed line of figures."""
    text = f"  {row['way']:36s} {row['milliseconds']:8.1f} ms"
    if row["way"] == INPUT:
        return text + "".join(f"  {row[f'share of {step}']:.1%} of {step}" for step in STEPS)
    low, high = row["tokens_per_second p10"], row["tokens_per_second p90"]
    text += f"  {row['tokens_per_second']:7.0f} tokens/s ({low:.0f} to {high:.0f})"
    for base in (HAND, TORCH, "alpha 0"):
        if (name := f"times {base}") in row:
            text += f"  {row[name]:.2f} ({row[f'{name} p10']:.2f} to {row[f'{name} p90']:.2f})"
            text += f" x {base}"
    return text


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"{time.perf_counter() - start:.0f} s")
