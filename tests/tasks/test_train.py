import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from rdrop_tf import RDropModel
from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks import Comparison, RunResult, train
from rdrop_tf.tasks.run_folder import read_columns

# What depends on the machine's load and not on the seed.
TIMES = {"seconds", "milliseconds_per_step"}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: cell for name, cell in row.items() if name not in TIMES} for row in rows]


def _figures(result: RunResult) -> dict[str, float]:
    return {name: value for name, value in asdict(result).items() if name not in TIMES}


def test_the_folder_holds_what_it_promises(trained: tuple[Path, RunResult], tiny: Recipe) -> None:
    folder, result = trained
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "config.json",
        "environment.json",
        "epochs.csv",
        "steps.csv",
        "result.json",
        "plot.png",
        "checkpoints/last.keras",
        "checkpoints/best.keras",
    }
    assert json.loads((folder / "result.json").read_text()) == asdict(result)
    config = json.loads((folder / "config.json").read_text())
    assert (Recipe.from_dict(config["recipe"]), config["alpha"], config["seed"]) == (tiny, 1.0, 0)


def test_rows_by_epoch_and_by_step(trained: tuple[Path, RunResult], tiny: Recipe) -> None:
    folder, _ = trained
    epochs, steps = read_columns(folder / "epochs.csv"), read_columns(folder / "steps.csv")
    assert epochs["epoch"] == [1, 2, 3, 4, 5]
    for name in ("val_accuracy", "val_loss", "probe_kl"):
        assert [value is not None for value in epochs[name]] == [False, True, False, True, True]
    assert steps["step"] == list(range(1, 11))
    assert steps["epoch"] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert max(np.array(steps["learning_rate"], float)) == pytest.approx(
        tiny.optimizer.learning_rate
    )


def test_a_steps_figures_are_its_own(trained: tuple[Path, RunResult]) -> None:
    folder, _ = trained
    epochs, steps = read_columns(folder / "epochs.csv"), read_columns(folder / "steps.csv")
    for name in ("loss", "ce", "kl"):
        by_step = np.array(steps[name], float).reshape(5, 2)
        # Of the 60 examples the first step of an epoch takes 50 and the second 10.
        means = by_step @ np.array([50, 10]) / 60
        np.testing.assert_allclose(means, np.array(epochs[name], float), rtol=1e-5)
        assert not np.allclose(by_step[:, 0], by_step[:, 1])


def test_the_loss_is_what_the_paper_says(trained: tuple[Path, RunResult]) -> None:
    steps = read_columns(trained[0] / "steps.csv")
    loss, ce, kl = (np.array(steps[name], float) for name in ("loss", "ce", "kl"))
    np.testing.assert_allclose(loss, ce + 0.5 * kl, rtol=1e-5)


def test_the_same_seed_gives_the_same_numbers(
    trained: tuple[Path, RunResult], tiny: Recipe, tmp_path: Path
) -> None:
    folder, result = trained
    again = train(tiny, alpha=1.0, seed=0, folder=tmp_path)
    assert _figures(again) == _figures(result)
    for name in ("steps.csv", "epochs.csv"):
        assert _rows(tmp_path / name) == _rows(folder / name)


def test_alpha_0_is_ordinary_training_on_the_same_batches(
    compared: tuple[Path, Comparison],
) -> None:
    ordinary, with_rdrop = (compared[0] / f"alpha-{alpha}-seed-0" for alpha in (0, 1))
    epochs, steps = read_columns(ordinary / "epochs.csv"), read_columns(ordinary / "steps.csv")
    assert epochs["kl"] == [None] * 5
    assert epochs["probe_kl"][1] is not None
    assert "kl" not in steps
    assert steps["ce"][0] == steps["loss"][0]
    # The first step sees the same weights and images; only the dropout masks differ.
    first = read_columns(with_rdrop / "steps.csv")["ce"][0]
    assert steps["ce"][0] == pytest.approx(first, rel=0.05)


def test_the_initial_weights_hang_on_the_seed_alone(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[NDArray[Any]]] = []

    def stop(self: RDropModel, *args: Any, **options: Any) -> None:
        seen.append(self.model.get_weights())
        raise KeyboardInterrupt

    monkeypatch.setattr(RDropModel, "fit", stop)
    for alpha, seed in ((0.0, 3), (1.0, 3), (1.0, 4)):
        with pytest.raises(KeyboardInterrupt):
            train(tiny, alpha=alpha, seed=seed, folder=tmp_path / f"{alpha}-{seed}")
    ordinary, with_rdrop, other_seed = seen
    for one, same in zip(ordinary, with_rdrop, strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.allclose(with_rdrop[0], other_seed[0])


def test_another_seed_gives_other_numbers(compared: tuple[Path, Comparison]) -> None:
    losses = [
        read_columns(compared[0] / f"alpha-1-seed-{seed}" / "steps.csv")["ce"] for seed in (0, 1)
    ]
    assert losses[0][0] != pytest.approx(losses[1][0], rel=1e-3)


def test_checkpoints_load_without_custom_objects(trained: tuple[Path, RunResult]) -> None:
    for which in ("last", "best"):
        model = keras.saving.load_model(trained[0] / "checkpoints" / f"{which}.keras")
        assert isinstance(model, RDropModel)
        assert model.predict(np.zeros((2, 8, 8, 1)), verbose=0).shape == (2, 10)


def test_a_run_never_overwrites_another(tiny: Recipe, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"needs a new or empty folder; got .* holds something"):
        train(tiny, alpha=1.0, seed=0, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
