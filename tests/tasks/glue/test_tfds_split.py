"""The same rows from tensorflow-datasets as from the official files.

tensorflow-datasets' own code reads the files here; its rows come back shuffled, as they do
from its store.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from rdrop_tf.tasks.glue import GLUE_DATASETS, find_glue_dataset, read_tfds_split, read_tsv_split
from tests.tasks.glue.official import FILES, ROWS, write_official

tfds = pytest.importorskip("tensorflow_datasets")
pytestmark = pytest.mark.tensorflow


def generate(builder: Any, home: Path, file: str, split: str) -> Iterator[dict[str, Any]]:
    """Reads a file as tensorflow-datasets does, last row first."""
    mrpc_files = None
    if builder.builder_config.name == "mrpc":
        mrpc_files = microsofts_files(home)
    examples = [row for _, row in builder._generate_examples(home / file, split, mrpc_files)]
    yield from (builder.info.features.encode_example(row) for row in examples[::-1])


def microsofts_files(home: Path) -> dict[str, Path]:
    """Makes of GLUE's files the ones that tensorflow-datasets takes MRPC from."""
    rows = {part: FILES["MRPC"][f"{part}.tsv"].splitlines()[1:] for part in ("train", "dev")}
    header = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String"
    contents = {
        "train": "\n".join([header, *rows["train"], *rows["dev"]]),
        "dev_ids": "\n".join("\t".join(row.split("\t")[1:3]) for row in rows["dev"]),
        "test": FILES["MRPC"]["test.tsv"],
    }
    paths = {name: home / f"{name}.txt" for name in contents}
    for name, path in paths.items():
        path.write_text(contents[name], encoding="utf-8")
    return paths


@pytest.mark.parametrize(("name", "split"), ROWS)
@pytest.mark.filterwarnings("ignore:2 lines of .* are left out:UserWarning")
def test_the_same_rows_as_from_the_files(tmp_path: Path, name: str, split: str) -> None:
    import tensorflow as tf

    data = find_glue_dataset(name)
    home = write_official(tmp_path, name)
    file = data.files[split][0]
    part = {"train": "train", "validation": "dev", "test": "test"}[split.partition("_")[0]]

    def as_dataset(self: Any, *args: Any, **kwargs: Any) -> Any:
        return tf.data.Dataset.from_generator(
            lambda: generate(self, home, file, part),
            output_signature={
                key: tf.TensorSpec((), spec.tf_dtype)
                for key, spec in self.info.features.get_tensor_info().items()
            },
        )

    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        rows = read_tfds_split(data, split)
    expected = read_tsv_split(data, split, tmp_path)
    assert rows.texts == expected.texts
    assert (rows.labels is None) == (expected.labels is None)
    if rows.labels is not None and expected.labels is not None:
        assert rows.labels.dtype == expected.labels.dtype
        np.testing.assert_array_equal(rows.labels, expected.labels)
    assert rows.ids.dtype == expected.ids.dtype
    # MRPC's validation row is the third of Microsoft's file.
    offset = 2 if (name, split) == ("MRPC", "validation") else 0
    np.testing.assert_array_equal(rows.ids, expected.ids + offset)


@pytest.mark.parametrize("name", GLUE_DATASETS)
def test_mock_data(name: str) -> None:
    data = find_glue_dataset(name)
    for split in data.splits:
        with tfds.testing.mock_data(num_examples=5):
            rows = read_tfds_split(data, split)
        assert len(rows.texts) == len(data.texts)
        assert {len(rows.ids), *map(len, rows.texts)} == {5}
        assert all(isinstance(text, str) for texts in rows.texts for text in texts)
        assert sorted(rows.ids) == list(rows.ids)
        if split in data.test_splits:
            assert rows.labels is None
        else:
            assert rows.labels is not None
            assert rows.labels.shape == (5,)
            assert data.is_regression or set(rows.labels) <= set(range(len(data.labels)))


def test_a_split_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="a split of RTE must be one of train, validation, test;"):
        read_tfds_split(find_glue_dataset("RTE"), "dev")


def failing(error: Exception) -> Any:
    return mock.patch.object(tfds.core.DatasetBuilder, "download_and_prepare", side_effect=error)


@pytest.mark.parametrize(
    "error", [ConnectionError("no route"), tfds.download.DownloadError("no route")]
)
def test_without_network_the_way_out_is_said(tmp_path: Path, error: Exception) -> None:
    with failing(error), pytest.raises(OSError, match="glue/rte") as raised:
        read_tfds_split(find_glue_dataset("RTE"), "train", data_dir=tmp_path)
    place = str(tmp_path / "glue" / "rte" / "2.0.0")
    assert str(raised.value) == (
        f"glue/rte must be in {place!r} or be downloaded, which failed "
        f"({type(error).__name__}: no route): connect to the network, set TFDS_DATA_DIR to the "
        "folder where tensorflow-datasets has prepared it, or give --data with the folder of the "
        "official tsv files"
    )


def test_a_package_that_downloading_needs(tmp_path: Path) -> None:
    missing = ModuleNotFoundError("No module named 'some_package'", name="some_package")
    text = r'downloading glue/rte needs some_package: pip install "rdrop_tf\[data\]"'
    with failing(missing), pytest.raises(ImportError, match=text):
        read_tfds_split(find_glue_dataset("RTE"), "train", data_dir=tmp_path)


def test_without_tensorflow_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rdrop_tf._optional.find_spec", lambda name: None)
    text = r'tensorflow_datasets is missing: pip install "rdrop_tf\[data\]"'
    with pytest.raises(ImportError, match=text):
        read_tfds_split(find_glue_dataset("RTE"), "train")


def test_files_need_no_tensorflow_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    write_official(tmp_path, "RTE")
    assert read_tsv_split(find_glue_dataset("RTE"), "train", tmp_path).ids.tolist() == [0, 1]
