"""Callbacks that write a run's figures as they come."""

import csv
import errno
import io
import os
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import keras
from keras import ops

from rdrop_tf.tasks.run_folder import write_whole
from rdrop_tf.tasks.stopwatch import Stopwatch


class EpochLog(keras.callbacks.Callback):
    """Writes one csv row an epoch, at once, so that a run cut short leaves its figures.

    The fields are those of the first epoch's logs and of `fields`; a figure that an epoch
    does not have is an empty cell.

    Args:
        path: The csv file.
        fields: Logs that not every epoch has.
        without: Logs that mean nothing in this run and are left empty.
    """

    def __init__(self, path: Path, fields: Iterable[str] = (), without: Iterable[str] = ()) -> None:
        super().__init__()
        self._rows, self._watch = _CsvRows(path), Stopwatch()
        self._fields = list(fields)
        self._without = set(without)
        # With the number of rows, so that a training that goes on drops what came after.
        self.written = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Starts the epoch's clock."""
        self._watch.start()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes the epoch's row."""
        figures = {name: value for name, value in (logs or {}).items() if name not in self._without}
        row = {"epoch": epoch + 1, "seconds": self._watch.seconds, **figures}
        names = dict.fromkeys([*row, *(logs or {}), *self._fields])
        self.written = self._rows.write(row, names, self.written)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Writes what a full disk had not taken."""
        self._rows.end()


class StepLog(keras.callbacks.Callback):
    """Writes one csv row a training step: its own figures, not the epoch's running means.

    Keras' logs of a step are means since the epoch began. A step's own figure is what its
    mean's total and count grew by.

    Args:
        path: The csv file.
        names: The logs to write; they must be means.
    """

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        super().__init__()
        self._rows, self._watch = _CsvRows(path), Stopwatch()
        self._names = tuple(names)
        self.written = 0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Looks up the means."""
        self._epoch = 0
        by_name = {metric.name: metric for metric in self.model.metrics}
        self._means = {name: by_name[name] for name in self._names}

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Remembers the epoch; Keras has just set the means back to 0."""
        self._epoch = epoch + 1
        self._before = dict.fromkeys(self._names, (0.0, 0.0))

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Starts the step's clock."""
        self._watch.start()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes the step's row."""
        if keras.backend.backend() == "jax":  # the figures are in the step's state until then
            self.model.jax_state_sync()
        # Reading the figures waits for the step to end, where a device works on its own.
        figures = {name: self._own(name) for name in self._names}
        optimizer = self.model.optimizer
        row = {
            "step": int(ops.convert_to_numpy(optimizer.iterations)),
            "epoch": self._epoch,
            "seconds": self._watch.seconds,
            "learning_rate": float(ops.convert_to_numpy(optimizer.learning_rate)),
            **figures,
        }
        self.written = self._rows.write(row, row, self.written)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Writes what a full disk had not taken."""
        self._rows.end()

    def _own(self, name: str) -> float | None:
        """Returns what this step added to a mean; None where it added nothing."""
        mean = self._means[name]
        total, count = (float(ops.convert_to_numpy(v)) for v in (mean.total, mean.count))
        total_before, count_before = self._before[name]
        self._before[name] = (total, count)
        grown = count - count_before
        return (total - total_before) / grown if grown else None


class _CsvRows:
    """A csv file that is complete after every row and never left open.

    Rows that the disk does not take wait in memory, and are written with those that follow.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fields: list[str] | None = None
        self._waiting: list[dict[str, Any]] = []
        self._has_warned = False

    def write(self, row: Mapping[str, Any], fields: Iterable[str], before: int) -> int:
        """Writes a row behind the first `before` ones; returns how many there are then.

        Args:
            row: The figures.
            fields: Of the file, if this is its first row.
            before: How many rows stay.
        """
        self._waiting.append(dict(row))
        try:
            if self._fields is None:
                self._fields = self._begin(list(fields), before - len(self._waiting) + 1)
            _append(self._path, _text(self._fields, self._waiting))
            self._waiting.clear()
        except OSError as error:
            self._warn(error)
        return before + 1

    def end(self) -> None:
        """Writes what waits, where it can be by now."""
        if self._waiting and self._fields is not None:
            with suppress(OSError):
                _append(self._path, _text(self._fields, self._waiting))
                self._waiting.clear()

    def _begin(self, fields: list[str], rows: int) -> list[str]:
        """Makes the file, or cuts that of an earlier process back to its first rows."""
        kept: list[dict[str, str]] = []
        # A worker that is not the chief begins with files of its own.
        if rows and self._path.is_file():
            with self._path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                kept = list(islice(reader, rows))
                # It may go on with figures more than it began with: of steps left out, for one.
                fields = list(dict.fromkeys([*(reader.fieldnames or ()), *fields]))
        # Aside: whoever is killed here leaves the rows as they were.
        write_whole(self._path, _text(fields, kept, header=True))
        return fields

    def _warn(self, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"rows of {self._path.name} were not written: {error}. Training goes on; they are "
                "written as soon as they can be",
                stacklevel=2,
            )


def _text(fields: list[str], rows: Iterable[Mapping[str, Any]], header: bool = False) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, fields, restval="")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _append(path: Path, text: str) -> None:
    """Adds to a file, all or nothing."""
    data = text.encode("utf-8")
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        try:
            written = file.write(data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(size)
            raise
