"""What `benchmarks.quality` trains: which recipes, on which data, over which grid."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rdrop_tf.recipes import Recipe, find_recipe
from rdrop_tf.tasks import Examples, Splits, Task, make_task
from rdrop_tf.tasks.glue.task import Glue
from rdrop_tf.tasks.images.task import Images
from rdrop_tf.tasks.parts import take

ENCODER = "encoder"


@dataclass(frozen=True)
class Study:
    """A recipe and the settings among which the validation part chooses.

    With `reported` that alpha is reported, whatever the validation part says of the others.
    `epochs` are those of the recipe unless given.
    """

    recipe: str
    learning_rates: tuple[float, ...]
    alphas: tuple[float, ...]
    seeds: int
    subfolder: str
    choice_seeds: int = 2
    reported: float | None = None
    epochs: int | None = None


STUDIES = {
    "mrpc": Study("mrpc-small", (1e-4,), (1.0, 4.0), 5, "glue"),
    "rte": Study("rte-small", (1e-4,), (1.0, 4.0), 5, "glue"),
    "sts-b": Study("sts-b-small", (1e-4,), (1.0, 4.0), 5, "glue"),
    "sst-2": Study("sst-2-small", (1e-4,), (1.0, 4.0), 3, "glue"),
    # The paper's alpha, and those around it on one seed.
    "multi30k-en-de": Study(
        "multi30k/en-de", (5e-3,), (1.0, 3.0, 5.0, 7.0, 10.0), 2, "multi30k", 1, reported=5.0
    ),
    "multi30k-de-en": Study("multi30k/de-en", (5e-3,), (), 2, "multi30k", 0, reported=5.0),
    # A third of the recipes' epochs: a network's study takes 2 hours on 2 cores so, not 7.
    "cifar100-vit": Study(
        "cifar100-vit-small", (1e-3,), (0.6, 2.0), 3, "cifar100", choice_seeds=1, epochs=10
    ),
    "cifar100-resnet": Study(
        "cifar100-wide-resnet", (0.1,), (0.6, 2.0), 3, "cifar100", choice_seeds=1, epochs=10
    ),
}


def recipe_of(study: Study, data: Path, preset: str | None, **changes: Any) -> Recipe:
    """Returns a study's recipe on the data that lie here."""
    recipe = find_recipe(study.recipe)
    recipe = replace(recipe, data={**recipe.data, "folder": str(data / study.subfolder)})
    if "preset" in recipe.model:
        recipe = replace(recipe, model={**recipe.model, "preset": preset})
    return replace(recipe, **changes)


def write_prepared(folder: Path, data: Path, preset: str) -> None:
    """Writes every study's arrays, and the encoder without its tokenizer.

    A machine without TensorFlow has no tokenizers. The encoder's weights are written in half
    precision, which halves what has to be carried there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    encoder_is_written = False
    for name, study in STUDIES.items():
        task = make_task(recipe_of(study, data, preset))
        if task.recipe.task == "translation":
            continue  # sentencepiece needs no TensorFlow: its text files are carried as they are
        splits = task.splits()
        arrays = {
            f"{part}/{key}": value
            for part in ("train", "validation", "test")
            for key, value in _flat(getattr(splits, part)).items()
        }
        np.savez_compressed(folder / f"{name}.npz", **arrays)
        if isinstance(task, Glue) and not encoder_is_written:
            _write_encoder(folder / ENCODER, task)
            encoder_is_written = True


def prepared_task(name: str, folder: Path, recipe: Recipe) -> Task:
    """Makes the task of a study on arrays that `write_prepared` wrote."""
    if recipe.task == "glue":
        model = {**recipe.model, "preset": str(folder / ENCODER)}
        return PreparedGlue(replace(recipe, model=model), folder / f"{name}.npz")
    return PreparedImages(recipe, folder / f"{name}.npz")


class PreparedGlue(Glue):
    """GLUE on token ids."""

    def __init__(self, recipe: Recipe, file: Path) -> None:
        super().__init__(recipe)
        self._file = file

    @cached_property
    def _splits(self) -> Splits:
        return _read_splits(self._file, self.recipe.data["rows"])

    @cached_property
    def _preprocessor(self) -> Any:
        return None


class PreparedImages(Images):
    """Images that are split already."""

    def __init__(self, recipe: Recipe, file: Path) -> None:
        super().__init__(recipe)
        self._file = file

    @cached_property
    def _splits(self) -> Splits:
        return _read_splits(self._file, self.recipe.data["rows"])

    @cached_property
    def _num_classes(self) -> int:
        parts = (self._splits.train, self._splits.validation, self._splits.test)
        # A few training rows alone may lack some of the classes.
        return max(int(part.y.max()) for part in parts) + 1  # type: ignore[union-attr]


def _flat(part: Any) -> dict[str, np.ndarray]:
    if isinstance(part.x, dict):
        # Token ids are below 65,536 in every vocabulary here.
        x = {f"x/{name}": leaf.astype(np.uint16) for name, leaf in part.x.items()}
    else:
        x = {"x": part.x}
    return {**x, "y": part.y}


def _read_splits(file: Path, rows: int | None) -> Splits:
    with np.load(file) as arrays:
        train, *others = (_read_part(arrays, part) for part in ("train", "validation", "test"))
    return Splits(take(train, slice(rows)), *others)


def _read_part(arrays: Any, part: str) -> Examples:
    y = arrays[f"{part}/y"]
    if f"{part}/x" in arrays:
        return Examples(arrays[f"{part}/x"], y)
    start = f"{part}/x/"
    names = [name.removeprefix(start) for name in arrays if name.startswith(start)]
    return Examples({name: arrays[start + name].astype(np.int32) for name in names}, y)


def _write_encoder(folder: Path, task: Glue) -> None:
    """Writes the backbone as a KerasHub preset, its weights in half precision."""
    import json

    import keras

    task.model()
    backbone = task._classifier.backbone
    folder.mkdir(exist_ok=True)
    config = keras.saving.serialize_keras_object(backbone)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = {f"{i:04}": np.asarray(w, np.float16) for i, w in enumerate(backbone.get_weights())}
    np.savez(folder / "half_weights.npz", **weights)


def restore_encoder(folder: Path) -> None:
    """Writes the weights file that KerasHub reads, from the half-precision ones."""
    import json

    import keras

    if (folder / "model.weights.h5").exists():
        return
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    import keras_hub  # noqa: F401 (registers the class)

    backbone = keras.saving.deserialize_keras_object(config)
    with np.load(folder / "half_weights.npz") as halves:
        backbone.set_weights([halves[name].astype(np.float32) for name in sorted(halves)])
    backbone.save_weights(folder / "model.weights.h5")
