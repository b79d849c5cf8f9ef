"""Rows are written whole, once the disk takes them, and none of those before is lost."""

import csv
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rdrop_tf.tasks import logs

FIELDS = ("step", "loss")
Row = dict[str, str]


def rows(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def row(step: int) -> Row:
    return {"step": str(step), "loss": "0.5"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written, file = logs._CsvRows(tmp_path / "steps.csv"), tmp_path / "steps.csv"
    for step in range(3):
        written.write(row(step), FIELDS, step)
    return file


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """The system takes no file beyond a size, and a part of what goes beyond it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_rows_that_a_full_disk_does_not_take_come_later(path: Path) -> None:
    written = logs._CsvRows(path)
    written.write(row(3), FIELDS, 3)
    begun = path.stat().st_size
    with full_at(begun + 3):
        with pytest.warns(UserWarning, match=r"rows of steps.csv were not written: .*goes on"):
            assert written.write(row(4), FIELDS, 4) == 5
        assert path.stat().st_size == begun, "no half of a row"
        written.write(row(5), FIELDS, 5)
    written.write(row(6), FIELDS, 6)
    assert rows(path) == [row(step) for step in range(7)]


def test_rows_that_wait_come_at_the_end(path: Path) -> None:
    written = logs._CsvRows(path)
    written.write(row(3), FIELDS, 3)
    with full_at(path.stat().st_size), pytest.warns(UserWarning, match="were not written"):
        written.write(row(4), FIELDS, 4)
    written.end()
    assert rows(path) == [row(step) for step in range(5)]


def test_who_is_killed_while_rows_are_cut_back_loses_none(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            logs._CsvRows(path).write(row(9), FIELDS, 2)
    assert rows(path) == [row(step) for step in range(3)]
    logs._CsvRows(path).write(row(9), FIELDS, 2)
    assert rows(path) == [row(0), row(1), row(9)]
