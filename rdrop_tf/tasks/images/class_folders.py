"""Which files a folder of class folders holds."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rdrop_tf.tasks.images.pickles import refuse_cifar_pickles

TEST_NAMES = ("test", "val")


class Files(NamedTuple):
    """The files of one part, the class of each, and the names of the classes."""

    paths: list[Path]
    labels: NDArray[np.int32]
    names: list[str]


def list_class_folders(path: Path) -> tuple[Files, Files, list[str]]:
    """Lists train/<class>/* and test/<class>/* (or val/<class>/*).

    Folders inside a class folder belong to the class. Names that begin with a dot are passed
    over. Classes are numbered by their names' order.

    Args:
        path: The folder of `train` and `test`.

    Returns:
        The files of train and of test, and the names of the classes.

    Raises:
        OSError: If a folder is missing.
        ValueError: If there are no classes, one has no files, files lie beside the class
            folders, or train and test have different classes.
    """
    refuse_cifar_pickles(path)
    train, test = _find_part(path, ("train",)), _find_part(path, TEST_NAMES)
    names = _classes(train)
    _check_same_classes(train, names, test, _classes(test))
    return _files(train, names), _files(test, names), names


def _find_part(path: Path, names: tuple[str, ...]) -> Path:
    found = [path / name for name in names if (path / name).is_dir()]
    if not found:
        looked_for = " or ".join(f"{name}/<class>/" for name in names)
        raise FileNotFoundError(
            f"{path} must hold the images of each class in a folder {looked_for}; there is none: "
            f"name the folder {' or '.join(names)}"
        )
    if len(found) > 1:
        raise ValueError(
            f"{path} must hold one of {' and '.join(names)}; it has both: take one of them out"
        )
    return found[0]


def _classes(part: Path) -> list[str]:
    entries = sorted(entry for entry in part.iterdir() if not entry.name.startswith("."))
    stray = [entry for entry in entries if not entry.is_dir()]
    if stray:
        raise ValueError(
            f"{part} must hold nothing but one folder a class; got the file {stray[0].name!r}"
            f" and {len(stray) - 1} more: move files into their class's folder, or away"
        )
    if not entries:
        raise ValueError(f"{part} must hold one folder a class; it is empty")
    return [entry.name for entry in entries]


def _check_same_classes(
    train: Path, train_names: list[str], test: Path, test_names: list[str]
) -> None:
    if train_names == test_names:
        return
    only_train = sorted(set(train_names) - set(test_names))
    only_test = sorted(set(test_names) - set(train_names))
    raise ValueError(
        f"{train} and {test} must have the same classes; only in {train.name}: "
        f"{_listed(only_train)}; only in {test.name}: {_listed(only_test)}: rename or remove these "
        "folders"
    )


def _listed(names: list[str], most: int = 10) -> str:
    shown = ", ".join(names[:most]) or "none"
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _files(part: Path, names: list[str]) -> Files:
    by_class = [_files_of_class(part / name) for name in names]
    labels = np.repeat(np.arange(len(names), dtype=np.int32), [len(files) for files in by_class])
    return Files([file for files in by_class for file in files], labels, names)


def _files_of_class(folder: Path) -> list[Path]:
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not _is_hidden(file.relative_to(folder))
    )
    if not files:
        raise ValueError(f"{folder} must hold images of its class; it is empty: fill or remove it")
    return files


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
