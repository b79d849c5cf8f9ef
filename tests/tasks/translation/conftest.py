"""Text files and runs that tests only read."""

from pathlib import Path

import pytest

from rdrop_tf.tasks import RunResult, train
from tests.tasks.translation.toy import recipe, write_files


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="session")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """A run long enough to have learned the words."""
    path = tmp_path_factory.mktemp("run")
    return path, train(recipe(folder, epochs=30), alpha=1.0, seed=0, folder=path)


@pytest.fixture(scope="session")
def short(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """A run of one epoch, which has learned nothing."""
    path = tmp_path_factory.mktemp("short")
    return path, train(recipe(folder, epochs=1), alpha=2.0, seed=5, folder=path)
