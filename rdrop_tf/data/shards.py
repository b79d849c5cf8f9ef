"""Rows in TFRecord files, written once and read by their number."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdrop_tf._optional import require
from rdrop_tf.data.columns import Column, column_of, has_length, kept, parse
from rdrop_tf.data.record_files import RecordFiles, write_records

DESCRIPTION = "shards.json"
ROWS_A_SHARD = 10_000
Row = Mapping[str, Any]


def write_shards(rows: Iterable[Row], folder: str | Path, rows_a_shard: int = ROWS_A_SHARD) -> int:
    """Writes rows into TFRecord files of `tf.train.Example`, in their order.

    No more than one row is in memory at a time. Zeros at the ends of one-dimensional arrays of
    whole numbers (padding) take no room, and images of more than 64 by 64 pixels are PNG; both are
    read as they were.

    Args:
        rows: Each an array, a number or a text by name, all of the same form; arrays of one
            dimension of whole numbers may differ in length.
        folder: A folder that holds no shards yet.
        rows_a_shard: Rows of a file; the last one may have fewer.

    Returns:
        How many rows were written.

    Raises:
        ValueError: If there are no rows, a row has another form than the first, or there are
            shards.

    Example:
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_shards(({"x": np.arange(i), "y": np.int32(i)} for i in range(5)), folder, 2)
    5
    >>> sorted(path.name for path in folder.glob("*.tfrecord"))
    ['00000.tfrecord', '00001.tfrecord', '00002.tfrecord']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / DESCRIPTION).exists():
        raise ValueError(
            "shards are written into a folder without any. "
            f"Received: {str(folder)!r}, which holds {DESCRIPTION}"
        )
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"there must be rows to write. Received: none, for {str(folder)!r}")
    form = _Form(first)
    counts: list[int] = []
    left: Iterator[Row] = chain([first], rows)
    while block := list(islice(left, 1)):
        own = chain(block, islice(left, rows_a_shard - 1))
        path = folder / f"{len(counts):05d}.tfrecord"
        before = sum(counts)
        records = (form.record(row, number) for number, row in enumerate(own, start=before))
        counts.append(write_records(path, records))
        if form.has_lengths:
            form.write_lengths(path)
    _write_description(folder, form.columns(), counts)
    return sum(counts)


class Shards:
    """Rows that `write_shards` wrote, read by their number.

    Args:
        folder: Where they lie.

    Raises:
        ImportError: If a package is missing.
        OSError: If a file is missing.
        ValueError: If the folder holds no shards, or others than its description says.

    Example:
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> written = write_shards(({"x": np.full(i, 7), "y": np.int32(i)} for i in range(5)), folder)
    >>> shards = Shards(folder)
    >>> batch = shards.read(np.array([3, 1]))
    >>> batch["x"].numpy().tolist(), batch["y"].numpy().tolist()
    ([[7, 7, 7], [7, 0, 0]], [3, 1])
    """

    def __init__(self, folder: str | Path) -> None:
        require("tensorflow", extra="data")
        self.folder = Path(folder)
        description = _read_description(self.folder)
        self.columns = {
            name: Column(kind, dtype, tuple(shape))
            for name, (kind, dtype, shape) in description["columns"].items()
        }
        paths = [self.folder / f"{shard:05d}.tfrecord" for shard in range(len(description["rows"]))]
        self.records = RecordFiles(paths)
        found = np.diff(self.records.firsts).tolist()
        if found != description["rows"]:
            raise ValueError(
                f"{str(self.folder)!r} must hold what its {DESCRIPTION} says, rows by file "
                f"{description['rows']}. Received: {found}: write them again"
            )

    def __len__(self) -> int:
        return len(self.records)

    def read(self, numbers: Any) -> dict[str, Any]:
        """Reads a batch, also inside of a `tf.data` pipeline.

        Args:
            numbers: Which rows, int64.

        Returns:
            A tensor for each column; arrays of different length are padded with zeros.
        """
        return parse(self.records.read_in_graph(numbers), self.columns)

    def lengths(self, shard: int) -> NDArray[np.int32]:
        """Returns the lengths of one file's rows, (rows, `measured` columns), without padding."""
        path = _lengths_path(self.records.paths[shard])
        lengths: NDArray[np.int32] = np.load(path)
        rows = int(np.diff(self.records.firsts)[shard])
        if lengths.shape != (rows, len(self.measured)):
            raise ValueError(
                f"{str(path)!r} must hold the lengths of {rows} rows in {len(self.measured)} "
                f"columns. Received: shape {lengths.shape}: write the shards again"
            )
        return lengths

    @property
    def measured(self) -> list[str]:
        """The columns of whole numbers in one dimension, whose lengths are known."""
        return [name for name, column in self.columns.items() if has_length(column)]


class _Form:
    """What all rows have in common, found out while they are written."""

    def __init__(self, first: Row) -> None:
        self._columns = {name: column_of(name, np.asarray(value)) for name, value in first.items()}
        # The numbers of entries that rows of one-dimensional columns have had.
        self._entries: dict[str, set[int]] = {
            name: set() for name, column in self._columns.items() if has_length(column)
        }
        self._lengths: list[list[int]] = []

    @property
    def has_lengths(self) -> bool:
        return bool(self._entries)

    def record(self, row: Row, number: int) -> bytes:
        """Returns a row as a record."""
        import tensorflow as tf

        arrays = {name: np.asarray(value) for name, value in row.items()}
        self._check(arrays, number)
        features = {name: kept(arrays[name], column) for name, column in self._columns.items()}
        if self._entries:
            self._lengths.append([len(np.trim_zeros(arrays[name], "b")) for name in self._entries])
        example = tf.train.Example(features=tf.train.Features(feature=features))
        return bytes(example.SerializeToString())

    def write_lengths(self, path: Path) -> None:
        """Writes the lengths of a file's rows, and begins with those of the next."""
        np.save(_lengths_path(path), np.array(self._lengths, np.int32))
        self._lengths.clear()

    def columns(self) -> dict[str, Column]:
        """Returns all columns, once all rows were seen."""
        return {
            name: column._replace(shape=(None,)) if len(self._entries.get(name, ())) > 1 else column
            for name, column in self._columns.items()
        }

    def _check(self, arrays: Mapping[str, NDArray[Any]], number: int) -> None:
        if arrays.keys() != self._columns.keys():
            raise ValueError(
                f"all rows must have the columns of the first, {', '.join(self._columns)}. "
                f"Received: {', '.join(arrays)} in row {number}"
            )
        for name, array in arrays.items():
            column, shape = self._columns[name], array.shape
            if name in self._entries and array.ndim == 1:
                self._entries[name].add(len(array))
                shape = column.shape
            if (column_of(name, array)._replace(shape=shape)) != column:
                raise ValueError(
                    f"all rows must have the form of the first: {name} {column.dtype} "
                    f"{column.shape}. Received: {array.dtype} {array.shape} in row {number}"
                )


def _lengths_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.lengths.npy")


def _write_description(folder: Path, columns: Mapping[str, Column], counts: list[int]) -> None:
    text = json.dumps({"format": 1, "rows": counts, "columns": columns}, indent=2)
    aside = folder / f"{DESCRIPTION}.part"
    aside.write_text(text + "\n", encoding="utf-8")
    os.replace(aside, folder / DESCRIPTION)  # the last file: the shards are whole


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not path.exists():
        raise ValueError(
            f"a folder of shards must hold {DESCRIPTION}, which is written last. "
            f"Received: {str(folder)!r} without it: write them again"
        )
    description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return description
