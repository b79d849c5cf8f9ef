from pathlib import Path

import pytest

from rdrop_tf.tasks.images.class_folders import list_class_folders


def _fill(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_classes_are_numbered_by_name(tmp_path: Path) -> None:
    _fill(tmp_path, "train/b/2", "train/b/1", "train/a/3", "test/a/4", "test/b/5")
    train, test, names = list_class_folders(tmp_path)
    assert names == ["a", "b"]
    assert [path.name for path in train.paths] == ["3", "1", "2"]
    assert train.labels.tolist() == [0, 1, 1]
    assert [path.name for path in test.paths] == ["4", "5"]


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    _fill(tmp_path, "train/a/1", "train/a/.DS_Store", "train/.git/x", "train/.x", "val/a/1")
    _fill(tmp_path, "train/a/.thumbnails/1")
    train, _, names = list_class_folders(tmp_path)
    assert (names, len(train.paths)) == (["a"], 1)


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (["val/a/1"], r"in a folder train/<class>/; there is none: name the folder train"),
        (["train/a/1"], r"in a folder test/<class>/ or val/<class>/; there is none: name the"),
    ],
)
def test_a_missing_part_says_what_was_looked_for(
    files: list[str], text: str, tmp_path: Path
) -> None:
    _fill(tmp_path, *files)
    with pytest.raises(FileNotFoundError, match=text):
        list_class_folders(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing must hold the images of each class"):
        list_class_folders(tmp_path / "nothing")


def test_two_test_parts_are_one_too_many(tmp_path: Path) -> None:
    _fill(tmp_path, "train/a/1", "val/a/1", "test/a/1")
    with pytest.raises(ValueError, match="must hold one of test and val; it has both"):
        list_class_folders(tmp_path)


def test_classes_that_differ_are_named(tmp_path: Path) -> None:
    _fill(tmp_path, "train/a/1", "train/b/1", "train/c/1", "test/a/1", "test/x/1")
    text = "must have the same classes; only in train: b, c; only in test: x: rename or remove"
    with pytest.raises(ValueError, match=text):
        list_class_folders(tmp_path)


def test_of_many_classes_that_differ_ten_are_named(tmp_path: Path) -> None:
    _fill(tmp_path, "train/a/1", "test/a/1", *(f"train/x{n:02}/1" for n in range(14)))
    with pytest.raises(
        ValueError, match=r"only in train: x00, .*, x09 and 4 more; only in test: n"
    ):
        list_class_folders(tmp_path)


def test_empty_folders_are_named(tmp_path: Path) -> None:
    _fill(tmp_path, "train/a/1", "test/a/1")
    (tmp_path / "test" / "a" / "1").unlink()
    with pytest.raises(ValueError, match=r"test/a must hold images of its class; it is empty"):
        list_class_folders(tmp_path)
    (tmp_path / "test" / "a").rmdir()
    with pytest.raises(ValueError, match=r"test must hold one folder a class; it is empty"):
        list_class_folders(tmp_path)


def test_files_beside_the_class_folders_are_named(tmp_path: Path) -> None:
    _fill(tmp_path, "train/a/1", "train/1.jpg", "train/2.jpg", "test/a/1")
    with pytest.raises(
        ValueError, match=r"train must hold nothing but .*'1\.jpg' and 1 more: move"
    ):
        list_class_folders(tmp_path)
