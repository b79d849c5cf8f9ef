"""MRPC from Microsoft's own files."""

from pathlib import Path

import pytest

from rdrop_tf.tasks.glue import find_glue_dataset, read_tsv_split

HEADER = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
MRPC = find_glue_dataset("MRPC")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    train = "1\t1\t2\tA .\tB .\r\n0\t3\t4\tC .\tD .\r\n1\t2\t1\tB .\tA .\r\n0\t5\t6\tE .\tF .\r\n"
    (tmp_path / "msr_paraphrase_train.txt").write_bytes((HEADER + train).encode())
    test = "1\t7\t8\tG .\tH .\r\n0\t9\t10\tI .\tJ .\r\n"
    (tmp_path / "msr_paraphrase_test.txt").write_bytes((HEADER + test).encode())
    (tmp_path / "dev_ids.tsv").write_text("3\t4\n2\t1\n")
    return tmp_path


def test_the_pairs_of_the_list_are_for_validation(folder: Path) -> None:
    rows = read_tsv_split(MRPC, "validation", folder)
    assert rows.texts == (["C .", "B ."], ["D .", "A ."])
    assert rows.labels is not None
    assert (rows.labels.tolist(), rows.ids.tolist()) == ([0, 1], [1, 2])


def test_the_others_are_for_training(folder: Path) -> None:
    rows = read_tsv_split(MRPC, "train", folder)
    assert rows.texts == (["A .", "E ."], ["B .", "F ."])
    assert rows.labels is not None
    assert (rows.labels.tolist(), rows.ids.tolist()) == ([1, 0], [0, 3])


def test_its_test_file_is_read_without_its_labels(folder: Path) -> None:
    rows = read_tsv_split(MRPC, "test", folder)
    assert (rows.texts, rows.labels) == ((["G .", "I ."], ["H .", "J ."]), None)
    assert rows.ids.tolist() == [0, 1]


def test_without_the_list_of_pairs(folder: Path) -> None:
    missing = folder / "dev_ids.tsv"
    missing.unlink()
    with pytest.raises(FileNotFoundError) as error:
        read_tsv_split(MRPC, "train", folder)
    assert str(error.value) == (
        "Microsoft's msr_paraphrase_train.txt must be split by GLUE's list of validation pairs; "
        f"{str(missing)!r} does not exist: put GLUE's dev_ids.tsv there, or its train.tsv and "
        "dev.tsv"
    )
