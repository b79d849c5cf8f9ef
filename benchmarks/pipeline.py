"""How long the input pipeline takes beside a training step.

    python -m benchmarks.pipeline

For every kind of recipe that fits two cores: the time of a batch from `training_batches` alone,
with nothing else running, and of a training step of RDropModel. The pipeline works while the model
trains, so its share is an upper bound of what it costs. On made-up rows of the recipe's sizes.
Writes benchmarks/results/pipeline.csv.
"""

import argparse
import csv
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rdrop_tf import RDropModel
from rdrop_tf.data import EpochData
from rdrop_tf.recipes import Recipe, find_recipe
from rdrop_tf.tasks import Examples, Task, make_task
from rdrop_tf.tasks.environment import describe_environment
from rdrop_tf.tasks.glue.task import Glue
from rdrop_tf.tasks.images.task import Images

RESULTS = Path(__file__).parent / "results" / "pipeline.csv"
RECIPES = ("digits", "mrpc-small", "cifar100-vit-small", "cifar100-wide-resnet")
ROWS = 2000
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight")


class MadeUpGlue(Glue):
    """Pairs of 20 words each, on the tiny encoder: the smallest step there is."""

    @cached_property
    def _training_rows(self) -> Any:
        from rdrop_tf.tasks.glue.rows import GlueRows

        draw = np.random.default_rng(0)
        texts = tuple([" ".join(draw.choice(WORDS, 20)) for _ in range(ROWS)] for _ in range(2))
        return GlueRows(texts, np.arange(ROWS, dtype=np.int32) % 2, np.arange(ROWS))

    def read(self, split: str) -> Any:
        return self._training_rows


class MadeUpImages(Images):
    """Random images of 100 classes."""

    @cached_property
    def _images(self) -> Any:
        from rdrop_tf.tasks.images.image_data import ImageData

        draw = np.random.default_rng(0)
        images = draw.integers(0, 256, (ROWS, 32, 32, 3), np.uint8)
        part = Examples(images, np.arange(ROWS, dtype=np.int32) % 100)
        return ImageData(part, part, None)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES))
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    rows = [measured(name, args.batches) for name in args.recipes]
    with args.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(
            f"{row['recipe']:24}{row['milliseconds_a_batch']:8} ms a batch, "
            f"{row['milliseconds_a_step']:8} ms a step: {row['share']:.1%}"
        )


def measured(name: str, batches: int) -> dict[str, Any]:
    """Measures one recipe."""
    task = task_of(find_recipe(name))
    batch = batch_seconds(task, batches)
    step = step_seconds(task, batches)
    environment = describe_environment()
    return {
        "recipe": name,
        "batch_size": task.recipe.batch_size,
        "milliseconds_a_batch": round(1000 * batch, 3),
        "milliseconds_a_step": round(1000 * step, 3),
        "share": round(batch / step, 4),
        "processor": environment["processor"],
        "cores": environment["logical_cores"],
        "keras": environment["versions"]["keras"],
        "tensorflow": environment["versions"].get("tensorflow", ""),
    }


def task_of(recipe: Recipe) -> Task:
    """Makes the recipe's task on made-up rows."""
    if recipe.task == "glue":
        return MadeUpGlue(replace(recipe, model={**recipe.model, "preset": "random-tiny"}))
    if recipe.task == "images":
        return MadeUpImages(recipe)
    return make_task(recipe)


def batch_seconds(task: Task, batches: int) -> float:
    """Times the pipeline alone: the mean of batches in a row, after the first ones."""
    pipeline = _pipeline(task)
    rows = itertools.chain.from_iterable(pipeline.rest(epoch) for epoch in itertools.count())
    for _ in range(5):
        next(rows)
    return _seconds(lambda: next(rows), batches)


def step_seconds(task: Task, steps: int) -> float:
    """Times training steps in `fit`, the pipeline working beside: the median."""
    network = task.model()
    model = RDropModel(network, task.recipe.alpha, forward=task.recipe.forward, views=task.views)
    model.compile(task.optimizer(network, 1000), task.loss())
    clock = _Clock()
    batches = _pipeline(task)
    epochs = -(-(steps + 10) // batches.batches(0))
    model.fit(batches, epochs=epochs, verbose=0, callbacks=[clock])
    return statistics.median(clock.seconds[5:])


class _Clock(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self._started)


def _pipeline(task: Task) -> EpochData:
    return task.training_batches(seed=0)


def _seconds(work: Callable[[], Any], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - started) / times


if __name__ == "__main__":
    sys.exit(main())
