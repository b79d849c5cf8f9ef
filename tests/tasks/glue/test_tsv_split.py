"""Rows of the official layouts, and of real files where they are at hand."""

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from rdrop_tf.tasks.glue import GLUE_DATASETS, find_glue_dataset, read_tsv_split
from tests.tasks.glue.official import FILES, ROWS, write_official


@pytest.mark.parametrize(("name", "split"), ROWS)
@pytest.mark.filterwarnings("ignore:2 lines of .* are left out:UserWarning")
def test_official_files(tmp_path: Path, name: str, split: str) -> None:
    write_official(tmp_path, name)
    rows, expected = read_tsv_split(find_glue_dataset(name), split, tmp_path), ROWS[name, split]
    assert rows.texts == expected.texts
    assert rows.ids.dtype == np.int32
    assert rows.ids.tolist() == expected.ids
    assert (None if rows.labels is None else rows.labels.tolist()) == expected.labels
    if rows.labels is not None:
        assert rows.labels.dtype == (np.float32 if name == "STS-B" else np.int32)


def test_every_split_of_every_data_set_is_tested() -> None:
    assert set(ROWS) == {
        (name, split) for name, data in GLUE_DATASETS.items() for split in data.splits
    }


def test_the_broken_lines_of_qqp_are_counted(tmp_path: Path) -> None:
    write_official(tmp_path, "QQP")
    with pytest.warns(UserWarning, match=r"2 lines of .*train.tsv' are left out.*is line 3$"):
        read_tsv_split(find_glue_dataset("QQP"), "train", tmp_path)


def test_only_qqp_may_hold_broken_lines(tmp_path: Path) -> None:
    home = write_official(tmp_path, "RTE")
    (home / "train.tsv").write_text(FILES["RTE"]["train.tsv"] + "2\tcut\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"must have 4 fields.*got 2 in .*, line 4"):
        read_tsv_split(find_glue_dataset("RTE"), "train", tmp_path)


def test_columns_are_taken_by_name(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("is_duplicate\tquestion2\tquestion1\n1\tB?\tA?\n")
    rows = read_tsv_split(find_glue_dataset("QQP"), "train", tmp_path)
    assert rows.texts == (["A?"], ["B?"])
    assert rows.labels is not None
    assert rows.labels.tolist() == [1]


def test_test_rows_keep_the_numbers_of_their_file(tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text("index\tsentence\n7\tA.\n3\tB.\n")
    rows = read_tsv_split(find_glue_dataset("CoLA"), "test", tmp_path)
    assert (rows.texts, rows.ids.tolist()) == ((["A.", "B."],), [7, 3])


@pytest.mark.parametrize("number", ["", "x", "-1", "1.0", "²"])
def test_a_number_of_a_row_that_is_none(tmp_path: Path, number: str) -> None:
    path = tmp_path / "test.tsv"
    path.write_text(f"index\tsentence\n0\tA.\n{number}\tB.\n", encoding="utf-8")
    text = f"the column 'index' must number the rows; got {number!r} in {str(path)!r}, line 3"
    with pytest.raises(ValueError, match=re.escape(text)):
        read_tsv_split(find_glue_dataset("CoLA"), "test", tmp_path)


def test_a_training_file_without_labels(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text(FILES["RTE"]["test.tsv"])
    text = "must name the columns 'sentence1', 'sentence2', 'label'; got 'index', 'sentence1', 's"
    with pytest.raises(ValueError, match=text):
        read_tsv_split(find_glue_dataset("RTE"), "train", tmp_path)


def test_the_files_of_another_data_set(tmp_path: Path) -> None:
    home = write_official(tmp_path, "RTE")
    with pytest.raises(ValueError, match=r"must hold one of '0', '1'; got 'not_entailment' in"):
        read_tsv_split(find_glue_dataset("WNLI"), "train", home)


REAL = os.environ.get("RDROP_DATA")


@pytest.mark.skipif(not REAL, reason="RDROP_DATA names no folder that holds glue/")
@pytest.mark.parametrize(
    ("name", "split", "count", "positive"),
    [
        ("SST-2", "train", 67_349, 37_569),
        ("SST-2", "validation", 872, 444),
        ("MRPC", "train", 3668, 2474),
        ("MRPC", "validation", 408, 279),
        ("RTE", "train", 2490, 1241),
        ("RTE", "validation", 277, 131),
        ("STS-B", "train", 5749, None),
        ("STS-B", "validation", 1500, None),
    ],
)
def test_real_files(name: str, split: str, count: int, positive: int | None) -> None:
    assert REAL
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = read_tsv_split(find_glue_dataset(name), split, Path(REAL) / "glue")
    assert rows.labels is not None
    assert {len(rows.labels), len(rows.ids), *map(len, rows.texts)} == {count}
    assert all(text and text == text.strip() for texts in rows.texts for text in texts)
    if positive is None:
        assert (rows.labels.min(), rows.labels.max()) == (0, 5)
    else:
        assert np.bincount(rows.labels).tolist() == [count - positive, positive]
