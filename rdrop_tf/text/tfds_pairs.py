"""Pairs of texts from tensorflow-datasets."""

from importlib import import_module
from pathlib import Path
from typing import Any

from rdrop_tf._optional import require
from rdrop_tf.text.parallel_text import ParallelText, Rules, add_pair

_ROWS_AT_A_TIME = 1024


def read_tfds(
    name: str,
    split: str,
    source_language: str,
    target_language: str,
    *,
    data_dir: str | Path | None = None,
    max_characters: int | None = None,
    every_line: bool = False,
) -> ParallelText:
    """Reads a split of a translation data set, downloading it where it is not prepared yet.

    The pairs come in the order in which tensorflow-datasets keeps them. Which are left out and
    how that is reported: as in `read_parallel`; places are "name/split:number", from 1.

    Args:
        name: The data set with its pair of languages, such as "wmt14_translate/de-en" or
            "ted_hrlr_translate/pt_to_en".
        split: One of its splits.
        source_language: One of its languages, such as "de".
        target_language: The other one.
        data_dir: Where tensorflow-datasets keeps its data; None for its own default.
        max_characters: Length of the longest text that is kept; None for any.
        every_line: Whether no pair may be left out.

    Returns:
        The pairs.

    Raises:
        ValueError: If the data set has no such split or language, or there is no pair.
        ImportError: If tensorflow-datasets or a package it needs is missing.
        OSError: If the data are not there and cannot be downloaded.

    Example:
    >>> import tensorflow_datasets as tfds
    >>> with tfds.testing.mock_data(num_examples=3):  # made-up texts, no download
    ...     text = read_tfds("wmt14_translate/de-en", "train", "en", "de")
    >>> len(text.source), len(text.target)
    (3, 3)
    """
    require("tensorflow_datasets", extra="data")
    tfds = import_module("tensorflow_datasets")
    rules = Rules(max_characters, every_line)
    text = ParallelText(name=f"{name}/{split}")
    builder = _builder(tfds, name, data_dir)
    _check_languages(builder, name, (source_language, target_language))
    _prepare(builder, name, tfds.download.DownloadError)
    _check_split(builder, name, split)
    batches = tfds.as_numpy(builder.as_dataset(split=split, batch_size=_ROWS_AT_A_TIME))
    number = 0
    for batch in batches:
        for pair in zip(batch[source_language], batch[target_language], strict=True):
            number += 1
            add_pair(text, pair, [f"{name}/{split}:{number}"] * 2, rules)
    if not text.source:
        raise ValueError(
            f"there must be at least one pair of texts; got none: {name}/{split} gave {text.report}"
        )
    return text


def _builder(tfds: Any, name: str, data_dir: str | Path | None) -> Any:
    try:
        return tfds.builder(name, data_dir=None if data_dir is None else str(data_dir))
    except tfds.core.DatasetNotFoundError as error:  # its text lists all there are
        raise ValueError(
            f"the texts must be a data set of tensorflow-datasets; got {name!r}, which is none: "
            "see tensorflow.org/datasets/catalog"
        ) from error


def _check_languages(builder: Any, name: str, languages: tuple[str, str]) -> None:
    known = list(getattr(builder.info.features, "languages", builder.info.features))
    if languages[0] == languages[1] or not set(languages) <= set(known):
        raise ValueError(
            f"the languages must be two of {name}'s {', '.join(known)}; got "
            f"{languages[0]!r} and {languages[1]!r}"
        )


def _check_split(builder: Any, name: str, split: str) -> None:
    known = list(builder.info.splits)
    if known and split.partition("[")[0] not in known:
        raise ValueError(f"a split of {name} must be one of {', '.join(known)}; got {split!r}")


def _prepare(builder: Any, name: str, download_error: type[Exception]) -> None:
    """Downloads what is not there yet; without a network, that gives up after some minutes."""
    try:
        builder.download_and_prepare()
    except ImportError as error:
        raise ImportError(
            f'downloading {name} needs {error.name}: pip install "rdrop_tf[data]"'
        ) from error
    except (OSError, download_error) as error:
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:100]}"
        raise OSError(
            f"{name} must be in {str(builder.data_path)!r} or be downloaded, which failed "
            f"({reason}): connect to the network, or set TFDS_DATA_DIR to the folder where "
            "tensorflow-datasets has prepared it"
        ) from error
