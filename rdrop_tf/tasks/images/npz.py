"""Images from one NumPy file."""

import warnings
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rdrop_tf.tasks.images.image_data import ImageData
from rdrop_tf.tasks.images.labels import check_labels
from rdrop_tf.tasks.images.pickles import refuse_cifar_pickles
from rdrop_tf.tasks.parts import Examples

KEYS = ("x_train", "y_train", "x_test", "y_test")


def read_npz(path: str | Path, num_classes: int | None = None) -> ImageData:
    """Reads images and their classes from an npz file.

    Args:
        path: A file with the arrays x_train and x_test, uint8 images (rows, height, width,
            channels) or (rows, height, width) for grey ones, and y_train and y_test, class
            numbers.
        num_classes: What class numbers must be below; None for any.

    Returns:
        Both parts in memory, without class names.

    Raises:
        OSError: If there is no such file.
        ValueError: If it is no npz file, holds pickled objects, misses an array, an array
            has another form, or the test part has a class that the training part has not.

    Example:
    >>> import tempfile
    >>> images, classes = np.zeros((2, 8, 8, 3), np.uint8), np.array([0, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "images.npz")
    ...     np.savez(path, x_train=images, y_train=classes, x_test=images, y_test=classes)
    ...     read_npz(path).train.x.shape
    (2, 8, 8, 3)
    """
    path = Path(path)
    refuse_cifar_pickles(path)
    arrays = _load(path)
    train, test = (_part(path, arrays, name, num_classes) for name in ("train", "test"))
    if train.x.shape[1:] != test.x.shape[1:]:
        raise ValueError(
            f"{path}: x_train and x_test must hold images of one size; got {train.x.shape[1:]} "
            f"and {test.x.shape[1:]}: resize one of them"
        )
    _check_classes(path, train.y, test.y)
    return ImageData(train, test, None)


def _check_classes(path: Path, train: NDArray[np.int32], test: NDArray[np.int32]) -> None:
    unknown, untested = np.setdiff1d(test, train), np.setdiff1d(train, test)
    if len(unknown):
        raise ValueError(
            f"{path}: y_train and y_test must have the same classes; got {len(unknown)} in y_test "
            f"that y_train has not, the first: {unknown[0]}: nothing learns them, so correct the "
            "labels or leave these rows out"
        )
    if len(untested):
        # As it happens to a class with few rows; the figures are right for the others.
        warnings.warn(
            f"{path}: {len(untested)} of {len(np.unique(train))} classes of y_train have no row in "
            f"y_test, the first: {untested[0]}; no figure will say anything of them",
            stacklevel=3,
        )


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; an npz file was looked for") from None
    with stream:
        return _read_arrays(path, _open_archive(path, stream))


def _open_archive(path: Path, stream: BinaryIO) -> Any:
    try:
        return np.load(stream, allow_pickle=False)
    except (ValueError, BadZipFile, EOFError) as error:
        raise ValueError(
            f"{path} must be an npz file, as numpy.savez writes it, and is none: write the "
            f"arrays {', '.join(KEYS)} into one (pickles are not read)"
        ) from error


def _read_arrays(path: Path, archive: Any) -> dict[str, NDArray[Any]]:
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError(f"{path} must be an npz file with {', '.join(KEYS)}; got a single array")
    missing = [key for key in KEYS if key not in archive.files]
    if missing:
        raise ValueError(
            f"{path} must hold the arrays {', '.join(KEYS)}; got {', '.join(archive.files)}: "
            f"add {', '.join(missing)}"
        )
    return {key: _array(path, archive, key) for key in KEYS}


def _array(path: Path, archive: Any, key: str) -> NDArray[Any]:
    try:
        return np.asarray(archive[key])
    except (ValueError, BadZipFile, EOFError) as error:
        raise ValueError(
            f"{path}: {key} must be a plain array; it holds pickled objects or is damaged, and "
            "pickles are not read, as they run whatever code they hold: save it again with one "
            "numeric dtype"
        ) from error


def _part(
    path: Path, arrays: dict[str, NDArray[Any]], name: str, num_classes: int | None
) -> Examples:
    x, y = arrays[f"x_{name}"], arrays[f"y_{name}"]
    images = _images(f"{path}: x_{name}", x)
    labels = check_labels(y, num_classes, f"{path}: y_{name}")
    if len(images) != len(labels):
        raise ValueError(
            f"{path}: x_{name} and y_{name} must have the same number of rows; got "
            f"{len(images):,} and {len(labels):,}"
        )
    return Examples(images, labels)


def _images(name: str, x: NDArray[Any]) -> NDArray[np.uint8]:
    images = x[..., np.newaxis] if x.ndim == 3 else x
    if images.dtype != np.uint8:
        raise ValueError(
            f"{name} must be uint8, values 0 to 255; got {x.dtype}: scale the pixels and save "
            "them as uint8"
        )
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise ValueError(
            f"{name} must have the shape (rows, height, width, channels), with 1 or 3 channels "
            f"and a row at least; got {x.shape}: {_cure(images.shape)}"
        )
    return images


def _cure(shape: tuple[int, ...]) -> str:
    if len(shape) != 4:
        return "reshape it so that each row is an image"
    if 0 in shape:
        return "put images in, or use another file"
    if shape[1] in (1, 3):
        return "put the channels last"
    if shape[-1] in (2, 4):
        return "leave the last channel out, which is for transparency"
    return "keep the channel of grey, or the three of red, green and blue"
