from pathlib import Path

import pytest

from tests.tasks.glue.texts import write_data, write_preset


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GLUE's layouts with made-up rows."""
    return write_data(tmp_path_factory.mktemp("glue") / "data")


@pytest.fixture(scope="session")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT in a folder of KerasHub's layout."""
    pytest.importorskip("keras_hub")
    return write_preset(tmp_path_factory.mktemp("preset") / "tiny-bert")
