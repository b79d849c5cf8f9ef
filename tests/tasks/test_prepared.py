"""A task's prepared shards are its rows, and are trained on as they are."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rdrop_tf.cli import arguments
from rdrop_tf.cli.main import _parser, main
from rdrop_tf.recipes import DIGITS, Recipe, find_recipe
from rdrop_tf.tasks import Examples, NumberedRows, make_task, train
from rdrop_tf.tasks.parts import Part

pytestmark = pytest.mark.filterwarnings("ignore:MRPC, (train|validation)")

ROWS = 60
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def glue(folder: Path) -> Recipe:
    generator = np.random.default_rng(0)
    header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
    for name, rows in (("train", ROWS), ("dev", 20)):
        lines = [header]
        for number in range(rows):
            texts = [" ".join(generator.choice(WORDS, generator.integers(1, 9))) for _ in "ab"]
            lines.append("\t".join([str(number % 2), str(number), str(number), *texts]))
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    recipe = find_recipe("mrpc-small")
    model = {**recipe.model, "preset": "random-tiny", "sequence_length": 32}
    return replace(recipe, data={**recipe.data, "folder": str(folder)}, model=model, epochs=1)


def images(folder: Path) -> Recipe:
    generator = np.random.default_rng(0)
    arrays = {}
    for part, rows in (("train", ROWS), ("test", 20)):
        arrays[f"x_{part}"] = generator.integers(0, 256, (rows, 32, 32, 3), np.uint8)
        arrays[f"y_{part}"] = np.arange(rows) % 4
    np.savez(folder / "images.npz", **arrays)
    recipe = find_recipe("cifar100-vit-small")
    data = {**recipe.data, "folder": str(folder / "images.npz"), "validation": 0.2}
    model = {**recipe.model, "depth": 1, "width": 16, "hidden": 16}
    return replace(recipe, data=data, model=model, epochs=1, batch_size=16)


def translation(folder: Path) -> Recipe:
    generator = np.random.default_rng(0)
    for part, rows in (("train", 200), ("val", 5), ("test_2016_flickr", 5)):
        for language in ("en", "de"):
            lines = [" ".join(generator.choice(WORDS, 3 + n % 7)) + language for n in range(rows)]
            (folder / f"{part}.{language}").write_text("\n".join(lines) + "\n", "utf-8")
    recipe = find_recipe("multi30k/en-de")
    data = {**recipe.data, "folder": str(folder), "vocabulary": 310}
    model = {**recipe.model, "beams": 1, "validation_beams": 1, "max_length": [0, 4]}
    model["changes"] = {"layers": 1, "width": 16, "hidden": 16}
    return replace(recipe, data=data, model=model, epochs=1, batch_size=300)


RECIPES = {"glue": glue, "images": images, "translation": translation}


def rows(part: Part) -> list[Any]:
    """The rows of a part, in its order, each as bytes of all of its leaves."""
    import keras

    if isinstance(part, Examples):
        batch = tuple(part)
    else:
        (batch,) = part.batched(part.rows).as_numpy_iterator()
    leaves = keras.tree.flatten(batch)
    return [tuple(np.asarray(leaf[i]).tobytes() for leaf in leaves) for i in range(len(leaves[0]))]


@pytest.fixture(params=RECIPES)
def recipe(request: pytest.FixtureRequest, tmp_path: Path) -> Recipe:
    folder = tmp_path / "raw"
    folder.mkdir()
    return RECIPES[request.param](folder)


def prepared(recipe: Recipe, folder: Path) -> Recipe:
    make_task(recipe).prepare(folder)
    return replace(recipe, data={**recipe.data, "folder": str(folder)})


def test_a_run_on_shards_needs_nothing_else(recipe: Recipe, tmp_path: Path) -> None:
    other = prepared(recipe, tmp_path / "shards")
    (tmp_path / "raw").rename(tmp_path / "away")
    task = make_task(other)
    assert isinstance(task.splits().train, NumberedRows)
    result = train(other, alpha=1.0, seed=0, folder=tmp_path / "run", task=task)
    assert np.isfinite(result.test)
    assert result.probe_kl > 0, "the passes differ"


@pytest.mark.parametrize("name", ["glue", "images"])
def test_the_rows_are_those_of_the_source(name: str, tmp_path: Path) -> None:
    recipe = RECIPES[name](tmp_path)
    source = make_task(recipe)
    shards = make_task(prepared(recipe, tmp_path / "shards"))
    for part in ("train", "validation", "test"):
        assert rows(getattr(shards.splits(), part)) == rows(getattr(source.splits(), part))
    assert shards.steps_an_epoch == source.steps_an_epoch
    batch = next(iter(shards.training_batches(0).rest(0)))
    assert len(batch[1]) == recipe.batch_size


def test_subwords_and_texts_are_those_of_the_source(tmp_path: Path) -> None:
    recipe = translation(tmp_path)
    source, shards = make_task(recipe), make_task(prepared(recipe, tmp_path / "shards"))
    for part in ("validation", "test"):
        one, other = (getattr(task.splits(), part) for task in (source, shards))
        assert [list(side) for side in one] == [list(side) for side in other]

    def targets(task: Any) -> list[tuple[int, ...]]:
        batches = task.training_batches(0).rest(0)
        labels = [np.trim_zeros(row, "b") for _, y, _ in batches for row in y.numpy()]
        return sorted(tuple(row.tolist()) for row in labels if len(row))

    assert targets(shards) == targets(source)
    assert shards.steps_an_epoch == source.steps_an_epoch
    assert shards.vocabularies.source.size == source.vocabularies.source.size
    one, other = (task.probe(10) for task in (source, shards))
    for name, ids in one.items():
        np.testing.assert_array_equal(other[name], ids)


def test_the_settings_must_be_those_they_were_prepared_with(tmp_path: Path) -> None:
    recipe = prepared(images(tmp_path), tmp_path / "shards")
    other = replace(recipe, data={**recipe.data, "validation": 0.1})
    with pytest.raises(ValueError, match=r"prepared with validation=0\.2, for a recipe with 0\.1"):
        make_task(other).splits()


def test_subword_dropout_is_refused(tmp_path: Path) -> None:
    recipe = translation(tmp_path)
    recipe = replace(recipe, data={**recipe.data, "subword_dropout": 0.1})
    with pytest.raises(ValueError, match=r"got subword_dropout=0\.1: set it to 0"):
        make_task(recipe).prepare(tmp_path / "shards")


def test_data_that_need_no_shards(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got the recipe 'digits', whose data do"):
        make_task(DIGITS).prepare(tmp_path / "shards")


def test_a_folder_that_holds_something(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a new or empty folder is needed"):
        make_task(images(tmp_path)).prepare(tmp_path)


def test_a_damaged_record_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = prepared(images(tmp_path), tmp_path / "shards")
    file = tmp_path / "shards" / "train" / "00000.tfrecord"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    line = [
        "train",
        recipe.name,
        "--data",
        str(tmp_path / "shards"),
        "--out",
        str(tmp_path / "run"),
    ]
    changes = ["data.validation=0.2", "model.depth=1", "model.width=16", "model.hidden=16"]
    for change in changes:
        line += ["--set", change]
    assert main(line) == 1
    said = capsys.readouterr().err
    assert said == (
        "rdrop: error: a record must have the checksum that was written with it. Received: "
        f"record 0 of '{file}', which is damaged: write the file again\n"
    )


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images(tmp_path)
    out = tmp_path / "shards"
    line = ["prepare", "cifar100-vit-small", "--data", str(tmp_path), "--out", str(out)]
    assert main([*line, "--set", "data.validation=0.2"]) == 0
    about, *said = capsys.readouterr().out.splitlines()
    assert about.startswith("images of 32 by 32 pixels, 4 classes; 48 to learn from, 12 to")
    assert said[:3] == ["train: 48 rows", "validation: 12 rows", "test: 20 rows"]
    start = "to train on them: "
    assert said[3].startswith(f"{start}rdrop train cifar100-vit-small --data {out} --set")
    _, *again = shlex.split(said[3].removeprefix(start))
    recipe = arguments.recipe_of(_parser().parse_args(again))
    assert make_task(recipe).splits().train.rows == 48, "these shards are taken"
