"""Checkpoints are whole or not there, whatever happens to their writer and to their bytes."""

import errno
import hashlib
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from rdrop_tf.training.checkpoint_store import Checkpoint, CheckpointStore, read_checkpoint
from tests.training import crashes


def checkpoint(step: int) -> Checkpoint:
    rng = np.random.default_rng(step)
    arrays = {
        "a/kernel": rng.normal(size=(50, 20)).astype("float32"),
        "a/kernel again": np.float64(step),
        "step": np.int64(step),
        "half": rng.normal(size=7).astype(ml_dtypes.bfloat16),
        "flag": np.array([True, False]),
        "empty": np.zeros((0, 3), "uint32"),
    }
    return Checkpoint(step, arrays, {"place": [1, step], "loss": float("inf"), "name": "ü"})


def same(a: Checkpoint, b: Checkpoint) -> bool:
    return (
        a.step == b.step
        and a.facts == b.facts
        and a.arrays.keys() == b.arrays.keys()
        and all(
            a.arrays[name].dtype == b.arrays[name].dtype
            and np.shape(a.arrays[name]) == np.shape(b.arrays[name])
            and np.asarray(a.arrays[name]).tobytes() == np.asarray(b.arrays[name]).tobytes()
            for name in a.arrays
        )
    )


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints")


def test_what_was_written_is_read(store: CheckpointStore) -> None:
    path = store.write(checkpoint(3))
    assert same(read_checkpoint(path), checkpoint(3))
    newest = store.newest()
    assert newest is not None
    assert same(newest, checkpoint(3))


def test_it_is_an_ordinary_zip_of_arrays_without_pickle(store: CheckpointStore) -> None:
    path = store.write(checkpoint(3))
    with np.load(path, allow_pickle=False) as members:
        np.testing.assert_array_equal(members["array_0"], checkpoint(3).arrays["a/kernel"])
    assert zipfile.ZipFile(path).testzip() is None


def test_objects_are_never_written(store: CheckpointStore) -> None:
    with pytest.raises((ValueError, TypeError)):
        store.write(Checkpoint(0, {"a": np.array([object()])}))
    assert store.newest() is None


def test_the_last_ones_stay(store: CheckpointStore) -> None:
    for step in (8, 9, 10, 100):
        store.write(checkpoint(step))
    assert [read_checkpoint(path).step for path in store.paths()] == [100, 10]


def test_what_was_written_last_stays_though_later_steps_are_there(tmp_path: Path) -> None:
    """A run that went back: the steps after are those of another past."""
    store = CheckpointStore(tmp_path, keep=1)
    store.write(checkpoint(9))
    store.write(checkpoint(4))
    assert [path.name[:15] for path in store.paths()] == ["step-0000000004"]


def test_a_folder_without_any(store: CheckpointStore) -> None:
    assert store.newest() is None
    store.folder.mkdir()
    (store.folder / "notes.txt").write_text("mine")
    assert store.newest() is None
    store.clear()
    assert (store.folder / "notes.txt").exists()


BROKEN = {
    "cut short": lambda data: data[:-100],
    "empty": lambda data: b"",
    "one bit": lambda data: data[:900] + bytes([data[900] ^ 1]) + data[901:],
    "the last byte": lambda data: data[:-1] + bytes([data[-1] ^ 128]),
    "foreign": lambda data: b"something else",
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_ones_are_named_and_the_one_before_is_used(how: str, store: CheckpointStore) -> None:
    store.write(checkpoint(1))
    path = store.write(checkpoint(2))
    path.write_bytes(BROKEN[how](path.read_bytes()))
    with pytest.warns(UserWarning, match=rf"step 1 used instead; {path.name}: its bytes are not"):
        newest = store.newest()
    assert newest is not None
    assert same(newest, checkpoint(1))


def _zip_of_something_else() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.ones(3))
    return file.getvalue()


@pytest.mark.parametrize("data", [b"PK\x03\x04" + b"no zip" * 100, _zip_of_something_else()])
def test_what_has_the_right_name_and_something_else_in_it(
    data: bytes, store: CheckpointStore
) -> None:
    store.write(checkpoint(1))
    name = f"step-0000000002-{hashlib.sha256(data).hexdigest()}.npz"
    (store.folder / name).write_bytes(data)
    with pytest.warns(UserWarning, match=rf"step 1 used instead; {name}: it must be a zip of"):
        newest = store.newest()
    assert newest is not None
    assert newest.step == 1


def test_broken_ones_take_no_place_of_those_that_stay(store: CheckpointStore) -> None:
    store.write(checkpoint(1))
    broken = store.write(checkpoint(99))
    broken.write_bytes(b"")
    with pytest.warns(UserWarning, match="step 1 used instead"):
        store.newest()
    for step in (2, 3):
        store.write(checkpoint(step))
    assert [read_checkpoint(path).step for path in store.paths()] == [3, 2]


def test_where_all_are_broken_nothing_begins_anew_by_itself(store: CheckpointStore) -> None:
    for step in (1, 2):
        path = store.write(checkpoint(step))
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"none of the checkpoints in .* can be used: step-.*2-"):
        store.newest()


def test_a_renamed_file_is_refused(store: CheckpointStore) -> None:
    path = store.write(checkpoint(1))
    other = path.rename(path.with_name("last.npz"))
    with pytest.raises(ValueError, match=r"is named step-NUMBER-SHA256.npz; got 'last.npz'"):
        read_checkpoint(other)


def test_one_of_something_else_is_refused_by_who_reads_it(store: CheckpointStore) -> None:
    store.write(checkpoint(1))
    store.write(checkpoint(2))

    def check(found: Checkpoint) -> None:
        if found.step == 2:
            raise ValueError("it is of another model")

    with pytest.warns(UserWarning, match=r"step-.*2-.*: it is of another model"):
        newest = store.newest(check)
    assert newest is not None
    assert newest.step == 1


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_what_was_there(
    moment: str, store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(checkpoint(1))
    before = {path.name for path in store.folder.iterdir()}

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if moment == "write":
        monkeypatch.setattr("rdrop_tf.training.checkpoint_store._write_npz", full)
    elif moment == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        store.write(checkpoint(2))
    assert {path.name for path in store.folder.iterdir()} == before


def test_a_limit_of_the_system_on_a_files_size(tmp_path: Path) -> None:
    """What a full disk does, by the system itself, in a process of its own."""
    assert crashes.run(crashes.write_beyond_the_limit, tmp_path) == 0
    newest = CheckpointStore(tmp_path).newest()
    assert newest is not None
    assert newest.step == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_writers_killed_at_any_moment_leave_whole_checkpoints(tmp_path: Path) -> None:
    steps = crashes.kill_writers(tmp_path, times=25, seed=0)
    assert steps == sorted(steps), "a later reader never finds an older state"
    assert steps[-1] > 0


def test_keep_must_be_a_number_of_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keeps 1 checkpoint or more; got keep=0"):
        CheckpointStore(tmp_path, keep=0)
