from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from rdrop_tf.text.tfds_pairs import read_tfds

tfds = pytest.importorskip("tensorflow_datasets")
pytestmark = pytest.mark.tensorflow

NAME = "ted_hrlr_translate/pt_to_en"


@pytest.fixture(autouse=True)
def _without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", lambda self: None)


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [("wmt14_translate/de-en", "en", "de"), ("ted_hrlr_translate/az_to_en", "az", "en")],
)
def test_mock_data(name: str, source: str, target: str) -> None:
    with tfds.testing.mock_data(num_examples=5):
        text = read_tfds(name, "train", source, target)
        swapped = read_tfds(name, "train", target, source)
    assert len(text) == text.report.lines == 5
    assert all(isinstance(line, str) for line in text.source + text.target)
    assert (swapped.source, swapped.target) == (text.target, text.source)


def with_pairs(pairs: list[tuple[str, str]]) -> Any:
    import tensorflow as tf

    def as_dataset(self: Any, **kwargs: Any) -> Any:
        columns = {"pt": [p[0] for p in pairs], "en": [p[1] for p in pairs]}
        return tf.data.Dataset.from_tensor_slices(columns)

    return tfds.testing.mock_data(as_dataset_fn=as_dataset)


def test_faults_are_reported() -> None:
    with with_pairs([("eins", "one"), ("", "two"), ("dreidrei", "three"), ("vïer", "four")]):
        text = read_tfds(NAME, "test", "pt", "en", max_characters=6)
        every = read_tfds(NAME, "test", "en", "pt", every_line=True)
    assert (text.source, text.target) == (["eins", "vïer"], ["one", "four"])
    assert str(text.report) == (
        f"4 lines read, 2 pairs kept; 1 empty ({NAME}/test:2); "
        f"1 longer than 6 characters ({NAME}/test:3)"
    )
    assert every.target == ["eins", "", "dreidrei", "vïer"]
    with with_pairs([("", "")]), pytest.raises(ValueError, match="at least one pair of texts"):
        read_tfds(NAME, "test", "pt", "en")


@pytest.mark.parametrize("languages", [("pt", "fr"), ("pt", "pt")])
def test_another_language(languages: tuple[str, str]) -> None:
    got = " and ".join(map(repr, languages))
    text = f"the languages must be two of {NAME}'s en, pt; got {got}"
    with tfds.testing.mock_data(num_examples=5), pytest.raises(ValueError, match=text):
        read_tfds(NAME, "train", *languages)


def test_an_unknown_data_set() -> None:
    with pytest.raises(ValueError, match=r"got 'wmt99/a-b', which is none: see tens"):
        read_tfds("wmt99/a-b", "train", "a", "b")


def failing(error: Exception) -> Any:
    return mock.patch.object(tfds.core.DatasetBuilder, "download_and_prepare", side_effect=error)


def test_without_network_the_way_out_is_said(tmp_path: Path) -> None:
    with failing(ConnectionError("no route")), pytest.raises(OSError, match="no route") as raised:
        read_tfds(NAME, "train", "pt", "en", data_dir=tmp_path)
    assert str(raised.value).startswith(f"{NAME} must be in '{tmp_path}")
    assert "or set TFDS_DATA_DIR to the folder where" in str(raised.value)


def test_a_package_that_downloading_needs(tmp_path: Path) -> None:
    missing = ModuleNotFoundError("No module named 'some_package'", name="some_package")
    text = rf'downloading {NAME} needs some_package: pip install "rdrop_tf\[data\]"'
    with failing(missing), pytest.raises(ImportError, match=text):
        read_tfds(NAME, "train", "pt", "en", data_dir=tmp_path)


def test_without_tensorflow_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rdrop_tf._optional.find_spec", lambda name: None)
    text = r'tensorflow_datasets is missing: pip install "rdrop_tf\[data\]"'
    with pytest.raises(ImportError, match=text):
        read_tfds(NAME, "train", "pt", "en")
