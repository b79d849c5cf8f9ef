"""How long the input pipeline takes beside a training step.

    python -m benchmarks.pipeline

For every kind of recipe and every form its data may have (in memory, as shards, as files that are
decoded while they are used): the time of a batch from `training_batches` alone, with nothing else
running, and of a training step of RDropModel. The pipeline works while the model trains, so its
share is an upper bound of what it costs. On made-up rows of the recipe's sizes. Writes
benchmarks/results/pipeline.csv.
"""

import argparse
import contextlib
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks import report
from rdrop_tf import RDropModel
from rdrop_tf.data import EpochData
from rdrop_tf.recipes import Recipe, find_recipe
from rdrop_tf.tasks import Examples, Task, make_task
from rdrop_tf.tasks.glue.task import Glue
from rdrop_tf.tasks.images.image_data import ImageData
from rdrop_tf.tasks.images.task import Images

RESULTS = Path(__file__).parent / "results" / "pipeline.csv"
RECIPES = (
    "digits",
    "mrpc-small",
    "multi30k/en-de",
    "cifar100-vit-small",
    "cifar100-wide-resnet",
    "imagenet-vit-base",
)
ROWS = 2000
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
PHOTOS, PHOTO_SIZE = 96, (500, 375)
# A step of it takes seconds.
LARGE = "imagenet-vit-base"
LARGE_BATCH, LARGE_STEPS = 4, 3


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
        draw = np.random.default_rng(0)
        images = draw.integers(0, 256, (ROWS, 32, 32, 3), np.uint8)
        part = Examples(images, np.arange(ROWS, dtype=np.int32) % 100)
        return ImageData(part, part, None)


class Photos(Images):
    """JPEG files of a camera's form on a vision transformer without its trained weights."""

    @cached_property
    def _images(self) -> Any:
        from rdrop_tf.tasks.images.folders import read_folders

        folder, size = Path(self.recipe.data["folder"]), self.recipe.data["image_size"]
        return read_folders(folder, size, memory_limit=0)

    def model(self) -> keras.Model:
        import keras_hub

        size = self.recipe.data["image_size"]
        backbone = keras_hub.models.ViTBackbone(
            image_shape=(size, size, 3),
            patch_size=16,
            num_layers=12,
            num_heads=12,
            hidden_dim=768,
            mlp_dim=3072,
            dropout_rate=0.1,
        )
        return keras_hub.models.ViTImageClassifier(backbone, num_classes=self._num_classes)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES))
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    rows = []
    for name in args.recipes:
        with tempfile.TemporaryDirectory() as folder:
            rows += measured(name, args.batches, Path(folder))
    report.write(args.out, rows)
    for row in rows:
        print(
            f"{row['recipe']:24}{row['form']:10}{row['examples_a_second']:10} examples/s of "
            f"{row['examples_a_second_trained']:8} trained on: {row['times']} times"
        )


def measured(name: str, batches: int, folder: Path) -> list[dict[str, Any]]:
    """Measures one recipe with its data in each form."""
    recipe = _with_data(find_recipe(name), folder)
    step, rows = None, []
    for form, task in _forms(recipe, folder):
        size = _examples_a_batch(task)
        batch = batch_seconds(task, batches)
        step = step or step_seconds(task, LARGE_STEPS if name == LARGE else batches)
        rows.append(
            {
                "recipe": name,
                "form": form,
                "examples_a_batch": round(size, 1),
                "milliseconds_a_batch": round(1000 * batch, 3),
                "milliseconds_a_step": round(1000 * step, 3),
                "examples_a_second": round(size / batch),
                "examples_a_second_trained": round(size / step, 1),
                "times": round(step / batch, 1),
                "share": round(batch / step, 4),
            }
        )
    return rows


def task_of(recipe: Recipe) -> Task:
    """Makes the recipe's task on made-up rows."""
    if recipe.name == LARGE:
        return Photos(recipe)
    makers = {"glue": MadeUpGlue, "images": MadeUpImages}
    return makers.get(recipe.task, make_task)(recipe)


def _with_data(recipe: Recipe, folder: Path) -> Recipe:
    """Returns the recipe on data that are made up, in a folder where they are files."""
    if recipe.task == "glue":
        return replace(recipe, model={**recipe.model, "preset": "random-tiny"})
    if recipe.name == LARGE:
        _write_photos(folder)
        data = {**recipe.data, "folder": str(folder)}
        return replace(recipe, data=data, batch_size=LARGE_BATCH)
    if recipe.task == "translation":
        _write_texts(folder)
        return replace(recipe, data={**recipe.data, "folder": str(folder)})
    return recipe


def _forms(recipe: Recipe, folder: Path) -> Iterator[tuple[str, Task]]:
    task = task_of(recipe)
    yield "files" if recipe.name == LARGE else "memory", task
    if recipe.task == "digits":
        return
    shards = folder / "shards"
    task.prepare(shards)
    yield "shards", task_of(replace(recipe, data={**recipe.data, "folder": str(shards)}))


def _write_photos(folder: Path) -> None:
    """Writes JPEG files: smooth forms with some noise, which compress as photographs do."""
    from PIL import Image

    draw = np.random.default_rng(0)
    width, height = PHOTO_SIZE
    for number in range(PHOTOS):
        coarse = Image.fromarray(draw.integers(0, 256, (12, 16, 3), np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
        noisy = smooth + draw.integers(-12, 13, smooth.shape)
        for part in ("train", "val"):
            path = folder / part / str(number % 4) / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            if part == "train" or number < 8:
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def _write_texts(folder: Path) -> None:
    """Writes pairs of 5 to 25 words out of 3,000."""
    draw = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlcum"))
    words = ["".join(draw.choice(letters, draw.integers(2, 9))) for _ in range(3000)]
    for part, rows in (("train", 5 * ROWS), ("val", 50), ("test_2016_flickr", 50)):
        for language in ("en", "de"):
            lengths = draw.integers(5, 26, rows)
            lines = [" ".join(draw.choice(words, length)) for length in lengths]
            (folder / f"{part}.{language}").write_text("\n".join(lines) + "\n", "utf-8")


def _examples_a_batch(task: Task) -> float:
    """Returns the mean rows of a batch; those of a batch of tokens vary."""
    return task.splits().train.rows / task.steps_an_epoch


def batch_seconds(task: Task, batches: int) -> float:
    """Times the pipeline alone: the mean of batches in a row, after the first ones."""
    pipeline = _pipeline(task)
    rows = itertools.chain.from_iterable(pipeline.rest(epoch) for epoch in itertools.count())
    for _ in range(5):
        next(rows)
    return _seconds(lambda: next(rows), batches)


def step_seconds(task: Task, steps: int) -> float:
    """Times training steps in `fit`, the pipeline working beside: the median after the first."""
    network = task.model()
    model = RDropModel(network, task.recipe.alpha, forward=task.recipe.forward, views=task.views)
    model.compile(task.optimizer(network, 1000), task.loss())
    clock = _Clock(steps)
    batches = _pipeline(task)
    epochs = -(-(steps + 10) // batches.batches(0))
    with contextlib.suppress(_Enough):
        model.fit(batches, epochs=epochs, verbose=0, callbacks=[clock])
    return statistics.median(clock.seconds[min(5, steps // 2) :])


class _Clock(keras.callbacks.Callback):
    """Times steps, and ends `fit` after so many and the first few."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._most = steps + min(5, steps // 2)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self._started)
        if len(self.seconds) >= self._most:
            raise _Enough


class _Enough(Exception):  # noqa: N818
    """Ends `fit` within an epoch."""


def _pipeline(task: Task) -> EpochData:
    return task.training_batches(seed=0)


def _seconds(work: Callable[[], Any], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - started) / times


if __name__ == "__main__":
    sys.exit(main())
