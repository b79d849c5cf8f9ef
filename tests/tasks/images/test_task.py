import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.special import log_softmax

from rdrop_tf.recipes import Optimizer, Recipe, find_recipe
from rdrop_tf.tasks import (
    Examples,
    NumberedRows,
    Part,
    RunResult,
    Splits,
    Stream,
    evaluate,
    predict,
    train,
)
from rdrop_tf.tasks.images import read_folders
from rdrop_tf.tasks.images.decode import stretch
from rdrop_tf.tasks.images.task import Images
from rdrop_tf.tasks.run_folder import read_columns

pytestmark = pytest.mark.tensorflow

SIZE, CLASSES, TRAIN, TEST = 8, 4, 80, 22

NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "tiny_vit": {
        "kind": "tiny_vit",
        "patch_size": 4,
        "depth": 1,
        "width": 8,
        "heads": 2,
        "hidden": 8,
        "dropout": 0.2,
    },
    "wide_resnet": {"kind": "wide_resnet", "depth": 10, "width": 1, "dropout": 0.3},
}


def _arrays(
    classes: int = CLASSES, rows: int = TRAIN, channels: int = 3
) -> dict[str, NDArray[Any]]:
    """Images whose brightness tells their class, in order of the classes."""
    rng = np.random.default_rng(0)
    arrays: dict[str, NDArray[Any]] = {}
    for part, count in (("train", rows), ("test", TEST)):
        y = np.sort(np.arange(count) % classes)
        noise = rng.integers(0, 40, (count, SIZE, SIZE, channels))
        arrays[f"x_{part}"] = (y[:, None, None, None] * (200 // classes) + noise).astype(np.uint8)
        arrays[f"y_{part}"] = y
    return arrays


def _recipe(path: Path, network: str = "tiny_vit", epochs: int = 2, **data: Any) -> Recipe:
    return replace(
        find_recipe("cifar10-vit-small"),
        epochs=epochs,
        batch_size=18,
        probe_every=1,
        optimizer=Optimizer(learning_rate=0.01),
        data={
            **find_recipe("cifar10-vit-small").data,
            "folder": str(path),
            "image_size": None,
            "crop_padding": 1,
            **data,
        },
        model=NETWORKS[network],
    )


def _write(folder: Path, **form: int) -> Path:
    path = folder / "images.npz"
    np.savez(path, **_arrays(**form))
    return path


@pytest.fixture(scope="module")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images as files, in a folder a class."""
    path, arrays = tmp_path_factory.mktemp("folders"), _arrays()
    for part in ("train", "test"):
        for row, (image, label) in enumerate(
            zip(arrays[f"x_{part}"], arrays[f"y_{part}"], strict=True)
        ):
            folder = path / part / f"class {label}"
            folder.mkdir(parents=True, exist_ok=True)
            _png(folder / f"{row:02}.png", image)
    return path


@pytest.fixture(scope="module")
def trained(npz: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(_recipe(npz, epochs=12, flip=False), alpha=1.0, seed=0, folder=folder)


def _logits(folder: Path, images: NDArray[Any], which: str = "last") -> NDArray[np.float64]:
    model = keras.saving.load_model(folder / "checkpoints" / f"{which}.keras", compile=False)
    return np.asarray(model.predict(images, verbose=0), np.float64)


def _figures(y: NDArray[Any], logits: NDArray[np.float64]) -> dict[str, float]:
    """The figures, row by row and bin by bin."""
    log_probabilities = log_softmax(logits, axis=1)
    order = np.argsort(-logits, axis=1)
    confidence = np.exp(log_probabilities.max(axis=1))
    right = order[:, 0] == y
    error = 0.0
    for number in range(15):
        chosen = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if chosen.any():
            error += chosen.mean() * abs(right[chosen].mean() - confidence[chosen].mean())
    return {
        "accuracy": right.mean(),
        "loss": -np.mean([row[label] for row, label in zip(log_probabilities, y, strict=True)]),
        "calibration error": error,
        "top-5 accuracy": np.mean([y[row] in order[row, :5] for row in range(len(y))]),
    }


# A run


def test_the_folder_holds_what_it_promises(trained: tuple[Path, RunResult]) -> None:
    folder, result = trained
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "config.json",
        "environment.json",
        "epochs.csv",
        "steps.csv",
        "result.json",
        "plot.png",
        "reliability.png",
        "classes.json",
        "checkpoints/last.keras",
        "checkpoints/best.keras",
    }
    with Image.open(folder / "reliability.png") as picture:
        assert min(picture.size) > 400
    assert 0 < result.probe_kl < 10


def test_it_learns_what_the_brightness_tells(trained: tuple[Path, RunResult]) -> None:
    assert trained[1].test > 0.6


def test_the_figures_are_those_of_the_saved_model(
    trained: tuple[Path, RunResult],
) -> None:
    folder, result = trained
    arrays = _arrays()
    expected = _figures(arrays["y_test"], _logits(folder, arrays["x_test"]))
    del expected["top-5 accuracy"]
    assert result.test_figures == pytest.approx(expected, abs=1e-6)
    assert result.test == result.test_figures["accuracy"]


def test_top_5_where_there_are_more_classes(tmp_path: Path) -> None:
    path = _write(tmp_path, classes=7, rows=70)
    task = Images(_recipe(path))
    assert [metric.name for metric in task.more_metrics] == [
        "top-5 accuracy",
        "loss",
        "calibration error",
    ]
    y = np.arange(50) % 7
    logits = np.random.default_rng(1).normal(size=(50, 7))
    assert task.figures(y, logits) == pytest.approx(_figures(y, logits), abs=1e-12)


def test_evaluation_finds_the_figures_again(trained: tuple[Path, RunResult]) -> None:
    folder, result = trained
    evaluation = evaluate(folder)
    assert [metric.name for metric in evaluation.metrics] == [
        "accuracy",
        "loss",
        "calibration error",
    ]
    assert evaluation.figures["last"]["test"] == pytest.approx(result.test_figures, abs=1e-6)
    assert evaluation.figures["last"]["validation"]["accuracy"] == result.validation
    best = evaluation.figures["best"]["validation"]["accuracy"]
    assert best == pytest.approx(result.best_validation)


@pytest.mark.parametrize(
    ("network", "data"),
    [
        ("tiny_vit", {"views": 2, "mixup": 0.4}),
        ("wide_resnet", {"cutmix": 1.0, "randaugment": 0.1}),
    ],
    ids=["two mixed views", "cutmix and randaugment"],
)
def test_soft_labels_and_two_views_train(
    npz: Path, tmp_path: Path, network: str, data: Mapping[str, Any]
) -> None:
    recipe = _recipe(npz, network, epochs=1, **data)
    result = train(recipe, alpha=1.0, seed=0, folder=tmp_path / "run", checkpoints=False)
    steps = read_columns(tmp_path / "run" / "steps.csv")
    loss, ce, kl = (np.array(steps[name], float) for name in ("loss", "ce", "kl"))
    # Of the 80 rows 8 are held out, which leaves four batches of 18.
    assert len(loss) == 4
    assert (kl > 0).all()
    np.testing.assert_allclose(loss, ce + 0.5 * kl, rtol=1e-5)
    assert np.isfinite(list(result.test_figures.values())).all()


def test_without_dropout_two_views_differ_by_their_images(npz: Path, tmp_path: Path) -> None:
    recipe = _recipe(npz, epochs=1, views=2)
    recipe = replace(recipe, model={**recipe.model, "dropout": 0.0})
    train(recipe, alpha=1.0, seed=0, folder=tmp_path / "run", checkpoints=False)
    assert min(read_columns(tmp_path / "run" / "steps.csv")["kl"]) > 1e-7


# The data


def test_the_validation_part_is_taken_from_the_training_part(npz: Path) -> None:
    splits = Images(_recipe(npz)).splits()
    assert isinstance(splits.train, Examples)
    assert isinstance(splits.validation, Examples)
    assert np.bincount(splits.validation.y).tolist() == [2, 2, 2, 2]
    together = np.concatenate([splits.train.x, splits.validation.x]).reshape(TRAIN, -1)
    original = _arrays()["x_train"].reshape(TRAIN, -1)
    np.testing.assert_array_equal(np.unique(together, axis=0), np.unique(original, axis=0))
    np.testing.assert_array_equal(splits.test.x, _arrays()["x_test"])


def test_without_a_validation_part_the_test_part_is_watched(npz: Path) -> None:
    splits = Images(_recipe(npz, validation=0.0)).splits()
    assert splits.train.rows == TRAIN
    assert splits.validation is splits.test


def test_rows_are_drawn_by_the_datas_seed(npz: Path) -> None:
    """As the first ones may be of one class: here they are."""
    parts = [Images(_recipe(npz, validation=0, rows=13, seed=n)).splits().train for n in (0, 0, 1)]
    one, again, other = (_numbers(part) for part in parts)
    assert one == again != other
    assert one == sorted(set(one))
    assert len(one) == 13
    assert len({number // (TRAIN // CLASSES) for number in one}) > 2


def _numbers(part: Part) -> list[int]:
    """Which rows of `_arrays` a part holds."""
    known = {image.tobytes(): number for number, image in enumerate(_arrays()["x_train"])}
    if isinstance(part, Examples):
        return [known[image.tobytes()] for image in part.x]
    return [known[image.tobytes()] for x, _ in part.batched(99) for image in x.numpy()]


@pytest.mark.parametrize("validation", [0.2, 6], ids=["a share", "a number"])
def test_class_folders_give_the_same_rows_in_memory_or_not(
    validation: float, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = _recipe(folders, image_size=SIZE, rows=31, validation=validation)
    held = Images(recipe).splits()
    monkeypatch.setattr(
        "rdrop_tf.tasks.images.task.read_folders", partial(read_folders, memory_limit=0)
    )
    streamed = Images(recipe).splits()
    assert isinstance(streamed.train, NumberedRows)
    sizes = [(splits.train.rows, splits.validation.rows) for splits in (held, streamed)]
    assert sizes == [(24, 7) if validation == 0.2 else (25, 6)] * 2
    rows = [sorted(_numbers(s.train) + _numbers(s.validation)) for s in (held, streamed)]
    assert rows[0] == rows[1]
    assert {number // (TRAIN // CLASSES) for number in rows[0]} == set(range(CLASSES))


@pytest.mark.parametrize("channels", [1, 3])
def test_an_npz_file_of_another_size_is_stretched_while_it_is_read(
    channels: int, tmp_path: Path
) -> None:
    arrays = _arrays(channels=channels)
    flat = {key: value[:, :6] if key[0] == "x" else value for key, value in arrays.items()}
    np.savez(tmp_path / "images.npz", **flat)
    task = Images(_recipe(tmp_path / "images.npz", image_size=12, validation=0))
    splits = task.splits()
    assert splits.validation is splits.test
    assert isinstance(splits.train, NumberedRows), "and never held as a whole"
    ((x, y),) = splits.test.batched(TEST)
    np.testing.assert_array_equal(y, arrays["y_test"])
    np.testing.assert_array_equal(x, [stretch(image, 12) for image in flat["x_test"]])
    assert task.model().input_shape == (None, 12, 12, channels)
    assert task.about_data().startswith("images of 12 by 12 pixels (stretched from 6 by 8), 4")


def test_it_says_what_the_data_are(npz: Path) -> None:
    assert Images(_recipe(npz, image_size=SIZE)).about_data() == (
        "images of 8 by 8 pixels, 4 classes; 72 to learn from, 8 to choose by, 22 to test"
    )
    assert "80 to learn from, the test part to choose by" in (
        Images(_recipe(npz, validation=0)).about_data()
    )


def test_of_a_stream_too(monkeypatch: pytest.MonkeyPatch, npz: Path) -> None:
    import tensorflow as tf

    arrays = _arrays()
    parts = {
        part: Stream(
            tf.data.Dataset.from_tensor_slices((arrays[f"x_{part}"], arrays[f"y_{part}"])), rows
        )
        for part, rows in (("train", TRAIN), ("test", TEST))
    }
    recipe = _recipe(npz, rows=20)
    recipe = replace(recipe, data={**recipe.data, "folder": None})
    monkeypatch.setattr(
        "rdrop_tf.tasks.images.task.read_tfds",
        lambda name, image_size: (parts["train"], parts["test"], [f"c{n}" for n in range(4)]),
    )
    splits: Splits = Images(recipe).splits()
    assert (splits.train.rows, splits.validation.rows, splits.test.rows) == (18, 2, TEST)
    assert isinstance(splits.train, Stream)
    rows = [image for image, _ in splits.train.source.as_numpy_iterator()]
    np.testing.assert_array_equal(rows, arrays["x_train"][2:20])
    assert Images(recipe).model().output_shape == (None, 4)


def test_the_only_npz_file_of_a_folder_is_found(npz: Path) -> None:
    assert Images(_recipe(npz.parent)).splits().test.rows == TEST


# Answers to lines


def _png(path: Path, image: NDArray[np.uint8]) -> str:
    Image.fromarray(image.squeeze()).save(path)
    return str(path)


def test_lines_are_paths_of_images(trained: tuple[Path, RunResult], tmp_path: Path) -> None:
    folder, _ = trained
    images = _arrays()["x_test"]
    lines = [_png(tmp_path / f"{row}.png", image) for row, image in enumerate(images)]
    expected = _logits(folder, images).argmax(axis=1)
    assert list(predict(folder, [f" {line}\n" for line in lines])) == [str(row) for row in expected]


def test_grey_images_are_answered_too(tmp_path: Path) -> None:
    path = _write(tmp_path, channels=1)
    train(_recipe(path, epochs=1), alpha=0.0, seed=0, folder=tmp_path / "run")
    images = _arrays(channels=1)["x_test"]
    lines = [_png(tmp_path / f"{row}.png", image) for row, image in enumerate(images)]
    expected = _logits(tmp_path / "run", images).argmax(axis=1)
    assert list(predict(tmp_path / "run", lines)) == [str(row) for row in expected]


def test_class_folders_train_and_answer_by_name(folders: Path, tmp_path: Path) -> None:
    recipe = _recipe(folders, epochs=1, image_size=SIZE)
    train(recipe, alpha=1.0, seed=0, folder=tmp_path / "run")
    kept = json.loads((tmp_path / "run" / "classes.json").read_text())
    assert kept == {
        "classes": [f"class {label}" for label in range(CLASSES)],
        "image_size": SIZE,
        "channels": 3,
    }
    answers = list(predict(tmp_path / "run", [str(folders / "test/class 0/00.png")]))
    chosen = _logits(tmp_path / "run", _arrays()["x_test"][:1]).argmax()
    assert answers == [f"class {chosen}"]


# Bad input


def test_a_line_that_is_no_image(trained: tuple[Path, RunResult], tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    good = _png(tmp_path / "good.png", _arrays()["x_test"][0])
    for bad in (tmp_path / "text.png", tmp_path / "missing.png"):
        with pytest.raises(ValueError, match=rf"line 2: .*the path of an image; got '.*{bad.name}"):
            list(predict(trained[0], [good, str(bad)]))


def test_lines_need_a_run(npz: Path) -> None:
    with pytest.raises(ValueError, match="lines are answered by a run; got none: train first"):
        Images(_recipe(npz)).read_line("image.png")


def test_an_empty_line(trained: tuple[Path, RunResult]) -> None:
    with pytest.raises(ValueError, match=r"line 1: .*path of an image; got an empty line"):
        list(predict(trained[0], ["\n"]))


def test_labels_that_the_data_set_has_no_class_for(tmp_path: Path) -> None:
    arrays = _arrays()
    arrays["y_train"][7] = 10
    np.savez(tmp_path / "images.npz", **arrays)
    recipe = _recipe(tmp_path / "images.npz", validation=0)
    with pytest.raises(ValueError, match=r"y_train must be below .* classes, 10; got 10 in row 7"):
        Images(recipe).splits()
    recipe = replace(recipe, data={**recipe.data, "most_classes": 11})
    with pytest.warns(UserWarning, match=r"1 of 5 classes of y_train have no row in y_test.*: 10;"):
        assert Images(recipe).model().output_shape == (None, 11)


def test_a_folder_of_several_npz_files(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"one npz file, or .* with a.npz, b.npz: give the path"):
        Images(_recipe(tmp_path)).splits()


def test_class_folders_need_a_size(folders: Path) -> None:
    with pytest.raises(ValueError, match=r"to image_size, .*; got image_size=None: choose one"):
        Images(_recipe(folders)).splits()


def test_too_few_rows_to_hold_some_out(npz: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"row of each class .*; got validation=0.02 of 80 rows of 4 classes: use more rows",
    ):
        Images(_recipe(npz, validation=0.02)).splits()


def test_images_that_are_not_square(tmp_path: Path) -> None:
    arrays = {key: value[:, :6] if key[0] == "x" else value for key, value in _arrays().items()}
    np.savez(tmp_path / "images.npz", **arrays)
    with pytest.raises(
        ValueError, match="must be square; got 6 by 8 pixels and no image_size: set"
    ):
        Images(_recipe(tmp_path / "images.npz")).model()


def test_an_unknown_network(npz: Path) -> None:
    recipe = replace(_recipe(npz), model={"kind": "resnet"})
    with pytest.raises(ValueError, match=r"wide_resnet or tiny_vit; got 'resnet'"):
        Images(recipe).model()


def test_grey_images_for_a_network_of_colour(tmp_path: Path) -> None:
    recipe = replace(_recipe(_write(tmp_path, channels=1)), model={"kind": "keras_hub"})
    with pytest.raises(ValueError, match="must get colour images; got 1 channel: repeat it"):
        Images(recipe).model()
