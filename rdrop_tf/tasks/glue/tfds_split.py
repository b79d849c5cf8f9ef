"""GLUE's splits from tensorflow-datasets."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdrop_tf._optional import require
from rdrop_tf.tasks.glue.dataset import GlueDataset
from rdrop_tf.tasks.glue.find_file import check_split
from rdrop_tf.tasks.glue.rows import GlueRows

_ROWS_AT_A_TIME = 1024


def read_tfds_split(dataset: GlueDataset, split: str, data_dir: Path | None = None) -> GlueRows:
    """Reads a split from tensorflow-datasets, downloading it where it is not prepared yet.

    The rows are those of the official files, in their order. Texts and labels equal those of
    `read_tsv_split`; so do the ids, but for MRPC's labelled rows: here they count through
    Microsoft's file, of which both splits are a part.

    Args:
        dataset: The data set.
        split: One of its splits.
        data_dir: Where tensorflow-datasets keeps its data; None for its own default.

    Returns:
        The rows.

    Raises:
        ValueError: If the data set has no such split.
        ImportError: If tensorflow-datasets or a package it needs is missing.
        OSError: If the data are not there and cannot be downloaded.

    Example:
    >>> import tensorflow_datasets as tfds
    >>> from rdrop_tf.tasks.glue import find_glue_dataset
    >>> with tfds.testing.mock_data(num_examples=3):  # made-up rows, no download
    ...     rows = read_tfds_split(find_glue_dataset("RTE"), "train")
    >>> [len(texts) for texts in rows.texts], rows.labels.shape
    ([3, 3], (3,))
    """
    check_split(dataset, split)
    require("tensorflow_datasets", extra="data")
    columns = _columns(dataset, split, data_dir)
    # tensorflow-datasets shuffles what it stores; `idx` is the place in the official file.
    order = np.argsort(columns["idx"], kind="stable")
    return GlueRows(
        texts=tuple(
            [text.decode("utf-8").strip() for text in columns[name][order]]
            for name in dataset.tfds_texts or dataset.texts
        ),
        labels=None
        if split in dataset.test_splits
        else columns["label"][order].astype(np.float32 if dataset.is_regression else np.int32),
        ids=columns["idx"][order].astype(np.int32),
    )


def _columns(dataset: GlueDataset, split: str, data_dir: Path | None) -> dict[str, NDArray[Any]]:
    tfds = import_module("tensorflow_datasets")
    builder = tfds.builder(f"glue/{dataset.tfds_name}", data_dir=data_dir)
    _prepare(builder, tfds.download.DownloadError)
    stored = builder.as_dataset(split=split, batch_size=_ROWS_AT_A_TIME)
    batches = list(tfds.as_numpy(stored))
    return {name: np.concatenate([rows[name] for rows in batches]) for name in batches[0]}


def _prepare(builder: Any, download_error: type[Exception]) -> None:
    """Downloads what is not there yet; without a network, that gives up after some minutes."""
    name = f"glue/{builder.builder_config.name}"
    try:
        builder.download_and_prepare()
    except ImportError as error:
        raise ImportError(
            f'downloading {name} needs {error.name}: pip install "rdrop_tf[data]"'
        ) from error
    except (OSError, download_error) as error:
        raise OSError(
            f"{name} must be in {str(builder.data_path)!r} or be downloaded, which failed "
            f"({_first_line(error)}): connect to the network, set TFDS_DATA_DIR to the folder "
            "where tensorflow-datasets has prepared it, or give --data with the folder of the "
            "official tsv files"
        ) from error


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:100]}"
