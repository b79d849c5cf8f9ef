"""GLUE's splits from the official tsv files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdrop_tf.tasks.glue.dataset import GlueDataset
from rdrop_tf.tasks.glue.find_file import find_file
from rdrop_tf.tasks.glue.labels import read_labels
from rdrop_tf.tasks.glue.msr_paraphrase import ID_COLUMNS, TRAINING_FILE, part_of_msr_paraphrase
from rdrop_tf.tasks.glue.rows import GlueRows
from rdrop_tf.tasks.glue.table import Table, read_table


def read_tsv_split(dataset: GlueDataset, split: str, folder: Path) -> GlueRows:
    r"""Reads a split from the official tsv files.

    Columns are taken by name, quotes are ordinary characters. Lines of QQP's first release
    that a line break inside a text cut short are left out, with a warning that counts them.

    Args:
        dataset: The data set.
        split: One of its splits.
        folder: A folder that holds the data set's folder, such as "MRPC" or "mrpc", or is
            that folder itself.

    Returns:
        The rows in the order of the file.

    Raises:
        ValueError: If the data set has no such split, or the file breaks its form; the text
            names the file, the line and the value.
        FileNotFoundError: If the folder or the file is missing; the text says where it was
            looked for.

    Example:
    >>> import tempfile
    >>> from rdrop_tf.tasks.glue import find_glue_dataset
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "dev.tsv").write_text("sentence\tlabel\nnever dull \t1\n")
    >>> rows = read_tsv_split(find_glue_dataset("SST-2"), "validation", folder)
    >>> rows.texts, rows.labels.tolist()
    ((['never dull'],), [1])
    """
    path = find_file(dataset, split, folder)
    is_test = split in dataset.test_splits
    table = _test_table(dataset, path) if is_test else _labelled_table(dataset, split, path)
    return GlueRows(
        texts=tuple([text.strip() for text in table.columns[name]] for name in dataset.texts),
        labels=None if is_test else read_labels(dataset, table),
        ids=_official_ids(dataset, table) if is_test else np.array(table.positions, np.int32),
    )


def _test_table(dataset: GlueDataset, path: Path) -> Table:
    return read_table(path, dataset.texts, optional=[dataset.id])


def _labelled_table(dataset: GlueDataset, split: str, path: Path) -> Table:
    of_microsoft = path.name == TRAINING_FILE
    table = read_table(
        path,
        [*dataset.texts, dataset.label, *(ID_COLUMNS if of_microsoft else ())],
        header=dataset.columns_without_header,
        drop_short_lines=dataset.has_broken_lines,
    )
    return part_of_msr_paraphrase(table, split) if of_microsoft else table


def _official_ids(dataset: GlueDataset, table: Table) -> NDArray[Any]:
    """Returns the file's own numbers of its rows; Microsoft's file has none."""
    words = table.columns.get(dataset.id)
    if words is None:
        return np.array(table.positions, np.int32)
    for line, word in zip(table.lines, words, strict=True):
        if not (word.isascii() and word.isdigit()):
            raise ValueError(
                f"the column {dataset.id!r} must number the rows; got {word!r} in "
                f"{str(table.path)!r}, line {line}: use the official file"
            )
    return np.array([int(word) for word in words], np.int32)
