"""A recipe that trains in seconds, and runs of it that tests only read."""

from dataclasses import replace
from pathlib import Path

import pytest

from rdrop_tf.recipes import DIGITS, Recipe
from rdrop_tf.tasks import Comparison, RunResult, compare, train

TINY = replace(
    DIGITS,
    epochs=5,
    # High enough that the last epoch is not the best one.
    optimizer=replace(DIGITS.optimizer, learning_rate=0.05),
    validate_every=2,
    probe_every=2,
    data={"train": 60, "validation": 100, "seed": 0},
    model={"depth": 1, "width": 16, "heads": 2, "hidden": 16, "dropout": 0.1},
)


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    return TINY


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(TINY, alpha=1.0, seed=0, folder=folder)


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Comparison]:
    folder = tmp_path_factory.mktemp("compared")
    return folder, compare(TINY, alphas=[0.0, 1.0], seeds=[0, 1], folder=folder)
