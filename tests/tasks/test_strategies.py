"""Whole runs on two replicas end with the figures of one device."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rdrop_tf.recipes import DIGITS
from rdrop_tf.tasks import train
from rdrop_tf.training import TrainingStrategy
from tests.tasks.translation import toy

pytestmark = pytest.mark.tensorflow


def losses(folder: Path) -> list[float]:
    rows = csv.DictReader((folder / "steps.csv").read_text("utf-8").splitlines())
    return [float(row["loss"]) for row in rows]


@pytest.fixture
def two(mirrored: Any) -> TrainingStrategy:
    return TrainingStrategy("mirrored", mirrored, 2)


def test_digits_without_r_drop(two: TrainingStrategy, tmp_path: Path) -> None:
    """Without noise, so that every figure is the same."""
    recipe = replace(DIGITS, epochs=2, model={**DIGITS.model, "dropout": 0.0})
    alone = train(recipe, alpha=0.0, seed=0, folder=tmp_path / "one")
    both = train(recipe, alpha=0.0, seed=0, folder=tmp_path / "two", strategy=two, resumable=True)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    assert both.test == pytest.approx(alone.test, abs=0.01)
    assert not (tmp_path / "two" / "unfinished").exists()


def test_translation(two: TrainingStrategy, tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    recipe = replace(toy.recipe(toy.write_files(tmp_path / "text"), epochs=2), average=2)
    result = train(recipe, alpha=1.0, seed=0, folder=tmp_path / "run", strategy=two)
    assert result.probe_kl > 0
    found = losses(tmp_path / "run")
    assert found[-1] < found[0]
    assert (tmp_path / "run" / "checkpoints" / "best.keras").is_file()
