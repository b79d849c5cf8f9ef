"""Images from tensorflow-datasets."""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from rdrop_tf.tasks.images.folders import MEMORY_LIMIT
from rdrop_tf.tasks.images.image_data import ImageData
from rdrop_tf.tasks.images.labels import check_labels
from rdrop_tf.tasks.parts import Examples, Part, Stream

# The labels of ImageNet's test images are not public.
_TEST_SPLITS: Mapping[str, Sequence[str]] = {"imagenet2012": ("validation",)}
_USUAL_TEST_SPLITS = ("test", "validation")
_ROWS_AT_A_TIME = 256


def read_tfds(
    name: str,
    data_dir: str | Path | None = None,
    image_size: int | None = None,
    memory_limit: int = MEMORY_LIMIT,
) -> ImageData:
    """Reads an image classification set of tensorflow-datasets, downloading it where needed.

    The part to report on is `test`, or `validation` where there is none (or, as ImageNet's,
    one without labels). Where both parts do not fit into `memory_limit` they are streamed, and
    decoded and resized in parallel.

    Args:
        name: As tensorflow-datasets has it: cifar10, cifar100, imagenet2012 ...
        data_dir: Where tensorflow-datasets keeps its data; None for its own default.
        image_size: Rows and columns that images are stretched to; None to leave them, where
            all of them have the same size.
        memory_limit: Bytes that both parts together may take.

    Returns:
        Both parts and the names of the classes.

    Raises:
        ImportError: If tensorflow-datasets or a package it needs is missing.
        OSError: If the data are not there and cannot be downloaded.
        ValueError: If there is no such set, it is none of image classification, it has no
            part to report on, or its images differ in size and `image_size` is None.
    """
    tfds = _import_tfds()
    builder = _prepared(tfds, name, data_dir)
    features = builder.info.features
    _check_features(tfds, name, features)
    shape = _shape(name, features["image"].shape, image_size)
    parts = {
        split: _dataset(builder, split, shape) for split in ("train", _test_split(builder, name))
    }
    size = sum(int(rows.cardinality()) for rows in parts.values()) * int(np.prod(shape))
    classes = features["label"].num_classes
    train, test = (
        _in_memory(rows, classes, f"{name}/{split}")
        if size <= memory_limit
        else Stream(rows, int(rows.cardinality()))
        for split, rows in parts.items()
    )
    return ImageData(train, test, features["label"].names)


def _import_tfds() -> Any:
    try:
        return import_module("tensorflow_datasets")
    except ImportError as error:
        raise _missing(error) from error


def _missing(error: ImportError) -> ImportError:
    return ImportError(
        f'reading from tensorflow-datasets needs a package ({error}): pip install "rdrop_tf[data]"'
    )


def _prepared(tfds: Any, name: str, data_dir: str | Path | None) -> Any:
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        raise ValueError(
            f"the data set must be one of tensorflow-datasets; got {name!r}: see "
            "https://www.tensorflow.org/datasets/catalog for their names"
        ) from None
    try:
        builder.download_and_prepare()
    except ImportError as error:
        raise _missing(error) from error
    # A set to be downloaded by hand fails with an AssertionError that says where to put it.
    except (OSError, AssertionError, tfds.download.DownloadError) as error:
        raise OSError(
            f"{name} must be prepared in {str(builder.data_path)!r} or be downloaded, which "
            f"failed ({_first_line(error)}): connect to the network, set TFDS_DATA_DIR to "
            "the folder where tensorflow-datasets has prepared it, or use an npz file or class "
            "folders"
        ) from error
    return builder


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def _check_features(tfds: Any, name: str, features: Any) -> None:
    wanted = {"image": tfds.features.Image, "label": tfds.features.ClassLabel}
    for key, kind in wanted.items():
        if key not in features or not isinstance(features[key], kind):
            raise ValueError(
                f"{name} must be a set of image classification, with the features 'image' and "
                f"'label' (one class); got {', '.join(map(repr, features))}: choose another set"
            )


def _shape(
    name: str, shape: tuple[int | None, ...], image_size: int | None
) -> tuple[int, int, int]:
    height, width, channels = shape
    if image_size is not None:
        height = width = image_size
    if height is None or width is None:
        raise ValueError(
            f"the images of {name} differ in size, and a batch needs one size; got "
            "image_size=None: hand in the rows and columns to resize to, such as 224"
        )
    return height, width, channels or 3


def _test_split(builder: Any, name: str) -> str:
    candidates = _TEST_SPLITS.get(builder.name, _USUAL_TEST_SPLITS)
    splits = list(builder.info.splits)
    for split in candidates:
        if split in splits:
            return split
    raise ValueError(
        f"{name} must have a part to report on, {' or '.join(candidates)}; got "
        f"{', '.join(splits)}: choose another set, or write an npz file with a test part"
    )


def _dataset(builder: Any, split: str, shape: tuple[int, int, int]) -> Any:
    """Rows of (uint8 image, int32 label), of one size."""
    import tensorflow as tf

    rows = builder.as_dataset(split=split, shuffle_files=False)
    return rows.map(partial(_to_row, shape=shape), num_parallel_calls=tf.data.AUTOTUNE)


def _to_row(row: Mapping[str, Any], shape: tuple[int, int, int]) -> tuple[Any, Any]:
    import tensorflow as tf

    image, label = row["image"], tf.cast(row["label"], tf.int32)
    if tuple(image.shape) != shape:
        resized = tf.image.resize(tf.cast(image, tf.float32), shape[:2], antialias=True)
        image = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    return tf.ensure_shape(image, shape), label


def _in_memory(rows: Any, classes: int, name: str) -> Part:
    images, labels = zip(*rows.batch(_ROWS_AT_A_TIME).as_numpy_iterator(), strict=True)
    checked = check_labels(np.concatenate(labels), classes, f"the labels of {name}")
    return Examples(np.concatenate(images), checked)
