"""Images from class folders."""

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdrop_tf._optional import require
from rdrop_tf.tasks.images.class_folders import Files, list_class_folders
from rdrop_tf.tasks.images.decode import decode, decodes, in_parallel
from rdrop_tf.tasks.images.image_data import ImageData
from rdrop_tf.tasks.parts import Examples, NumberedRows

# What the images of all parts together may take before they are streamed.
MEMORY_LIMIT = 2 * 2**30


def read_folders(
    path: str | Path,
    image_size: int | None,
    strict: bool = False,
    memory_limit: int = MEMORY_LIMIT,
    seed: int = 0,
) -> ImageData:
    """Reads train/<class>/* and test/<class>/* (or val/<class>/*), files of any image format.

    Every image is decoded and stretched to a square, in parallel: once, into arrays, where
    they fit into `memory_limit`; else whenever it is used, in tf.data, and here every file is
    only looked through for damage.

    Args:
        path: The folder of `train` and `test`.
        image_size: Rows and columns of an image in the result.
        strict: Whether a file that is no image stops the reading. If not, these files are
            left out, and a warning says how many.
        memory_limit: Bytes that both parts together may take.
        seed: Of the order of training images that are streamed, whose first ones would else be
            of one class.

    Returns:
        Both parts and the names of the classes.

    Raises:
        ImportError: If Pillow is missing, or TensorFlow where images must be streamed.
        OSError: If a folder is missing.
        ValueError: If a folder is empty, train and test have different classes, no file of a
            class is an image, or with `strict` a file is none.
    """
    if image_size is None or image_size < 1:
        raise ValueError(
            "class folders hold images of any size, which are stretched to image_size, of 1 pixel "
            f"or more; got image_size={image_size}: choose one, such as 224"
        )
    train, test, names = list_class_folders(Path(path))
    size = (len(train.paths) + len(test.paths)) * image_size**2 * 3
    if size <= memory_limit:
        return ImageData(
            _decode_all(train, image_size, strict), _decode_all(test, image_size, strict), names
        )
    return ImageData(
        _numbered(train, image_size, strict, seed), _numbered(test, image_size, strict), names
    )


def _decode_all(files: Files, image_size: int, strict: bool) -> Examples:
    images = np.empty((len(files.paths), image_size, image_size, 3), np.uint8)
    decoded = np.zeros(len(files.paths), bool)
    rows = 0
    for number, image in enumerate(
        in_parallel(partial(decode, image_size=image_size), files.paths)
    ):
        if image is not None:
            images[rows] = image
            decoded[number] = True
            rows += 1
    _report(files, decoded, strict)
    return Examples(images[:rows], files.labels[decoded])


def _numbered(files: Files, image_size: int, strict: bool, seed: int | None = None) -> NumberedRows:
    require("tensorflow", extra="data")
    import tensorflow as tf

    good = np.fromiter(in_parallel(decodes, files.paths), bool, len(files.paths))
    _report(files, good, strict)
    kept = np.flatnonzero(good)
    if seed is not None:
        # Classes come one after the other, and the first rows may be taken, or held out.
        kept = np.random.default_rng(seed).permutation(kept)
    paths, labels = [files.paths[number] for number in kept], files.labels[kept]

    def load(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        chosen = [paths[number] for number in numbers]
        images = in_parallel(partial(_decode_or_fail, image_size), chosen)
        empty = np.empty((len(chosen), image_size, image_size, 3), np.uint8)
        return np.stack(list(images)) if chosen else empty

    def read(numbers: Any) -> tuple[Any, Any]:
        images = tf.numpy_function(load, [numbers], tf.uint8, stateful=False)
        shape = (None, image_size, image_size, 3)
        return tf.ensure_shape(images, shape), tf.gather(labels, numbers)

    return NumberedRows(read, len(paths))


def _decode_or_fail(image_size: int, path: Path) -> NDArray[np.uint8]:
    image = decode(path, image_size)
    if image is None:
        raise ValueError(f"{path} was an image when the folder was read, and is none now")
    return image


def _report(files: Files, good: NDArray[np.bool_], strict: bool) -> None:
    bad = [path for path, kept in zip(files.paths, good, strict=True) if not kept]
    if not bad:
        return
    if strict:
        raise ValueError(
            f"every file of a class folder must be an image that decodes; got {bad[0]} and "
            f"{len(bad) - 1} more that do not: repair or remove them, or read without strict"
        )
    if len(bad) == len(files.paths):
        raise ValueError(f"none of the {len(bad):,} files decodes as an image; the first: {bad[0]}")
    _check_each_class(files, good)
    warnings.warn(
        f"{len(bad):,} of {len(files.paths):,} files are left out, as they do not decode as "
        f"images; the first: {bad[0]}",
        stacklevel=4,
    )


def _check_each_class(files: Files, good: NDArray[np.bool_]) -> None:
    """Refuses to go on without a class: the figures would be those of another task."""
    gone = np.setdiff1d(files.labels, files.labels[good])
    if len(gone):
        first = files.paths[int(np.argmax(files.labels == gone[0]))]
        count = int((files.labels == gone[0]).sum())
        raise ValueError(
            f"each class must have an image that decodes; got none among the {count:,} files of "
            f"the class {files.names[gone[0]]!r} ({len(gone)} such classes), the first: {first}: "
            "repair them, or remove the class from train and test"
        )
