"""The original CIFAR files, which are not read."""

from pathlib import Path

_BATCHES = {"data_batch_1", "test_batch", "batches.meta"}
_FOLDERS = {"cifar-10-batches-py", "cifar-100-python"}
_ARCHIVES = (".tar.gz", ".tgz", ".tar")


def refuse_cifar_pickles(path: Path) -> None:
    """Refuses the files that cs.toronto.edu hands out.

    Args:
        path: The file or folder that was given as data.

    Raises:
        ValueError: If it is one of them: reading a pickle runs whatever code it holds.

    Example:
    >>> refuse_cifar_pickles(Path("cifar-10-python.tar.gz"))
    Traceback (most recent call last):
    ...
    ValueError: images must not come as Python pickles, which run whatever code they hold; got
    'cifar-10-python.tar.gz', the original CIFAR batches: take the same images from
    tensorflow-datasets (cifar10, cifar100), or an npz file with x_train y_train x_test y_test
    """
    found = _find(path)
    if found is not None:
        raise ValueError(
            "images must not come as Python pickles, which run whatever code they hold; got "
            f"{str(found)!r}, the original CIFAR batches: take the same images from "
            "tensorflow-datasets (cifar10, cifar100), or an npz file with x_train y_train "
            "x_test y_test"
        )


def _find(path: Path) -> Path | None:
    name = path.name.lower()
    if name in _BATCHES or name in _FOLDERS or name.startswith("data_batch_"):
        return path
    if "cifar" in name and name.endswith(_ARCHIVES):
        return path
    return next((inner for inner in _inside(path) if _holds_batches(inner)), None)


def _inside(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [folder, *(folder / name for name in sorted(_FOLDERS))]


def _holds_batches(folder: Path) -> bool:
    """Whether a folder holds CIFAR-10's files or CIFAR-100's: `train` and `meta`, no endings."""
    if any((folder / name).is_file() for name in _BATCHES):
        return True
    return (folder / "train").is_file() and (folder / "meta").is_file()
