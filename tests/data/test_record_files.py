"""Records are those that TensorFlow's own reader finds, and damage is told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from rdrop_tf.data import RecordFiles, write_records
from rdrop_tf.data.record_files import index_path

pytestmark = pytest.mark.one_backend

SIZES = (0, 1, 5, 300, 2, 70_000, 12)


def written(folder: Path, files: int = 3) -> tuple[list[Path], list[bytes]]:
    generator = np.random.default_rng(0)
    paths, everything = [], []
    for number in range(files):
        records = [generator.bytes(size) for size in SIZES[number:]]
        paths.append(folder / f"{number}.tfrecord")
        assert write_records(paths[-1], records) == len(records)
        everything += records
    return paths, everything


def forget_indexes(paths: list[Path]) -> None:
    for path in paths:
        index_path(path).unlink()


@pytest.mark.parametrize("indexed", [True, False])
def test_records_by_number_are_those_tensorflow_reads(tmp_path: Path, indexed: bool) -> None:
    paths, everything = written(tmp_path)
    if not indexed:
        forget_indexes(paths)
    records = RecordFiles(paths)
    files = [str(path) for path in paths]
    assert list(tf.data.TFRecordDataset(files).as_numpy_iterator()) == everything
    assert len(records) == len(everything) == 18
    order = np.random.default_rng(1).permutation(18)
    assert records.read(order) == [everything[i] for i in order]
    assert records.sizes(order).tolist() == [len(everything[i]) for i in order]
    assert records.read(np.array([], np.int64)) == []


def test_records_are_read_in_a_pipeline(tmp_path: Path) -> None:
    paths, everything = written(tmp_path)
    records = RecordFiles(paths)
    batches = tf.data.Dataset.range(18).batch(4).map(records.read_in_graph, num_parallel_calls=4)
    assert [r for batch in batches for r in batch.numpy()] == everything


def test_a_number_without_a_record(tmp_path: Path) -> None:
    records = RecordFiles(written(tmp_path)[0])
    for number in (-1, 18):
        with pytest.raises(IndexError, match=rf"the numbers 0 to 17; got \[{number}\]"):
            records.read(np.array([number]))


def test_every_flipped_bit_of_a_record_is_told(tmp_path: Path) -> None:
    path = tmp_path / "one.tfrecord"
    write_records(path, [b"first", b"second"])
    whole = path.read_bytes()
    for place in range(12, 12 + 5 + 4):  # the bytes and their checksum, behind length and its own
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            records = RecordFiles([path])
            assert records.read(np.array([1])) == [b"second"]
            with pytest.raises(ValueError, match=r"record 0 of '.*one.tfrecord', which is damaged"):
                records.read(np.array([0]))


@pytest.mark.parametrize("indexed", [True, False])
def test_a_file_that_was_cut_off(tmp_path: Path, indexed: bool) -> None:
    path = tmp_path / "one.tfrecord"
    write_records(path, [b"first", b"second"])
    if not indexed:
        forget_indexes([path])
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"one\.tfrecord', which ends within record 1: write it"):
        RecordFiles([path])


def test_a_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("this is no TFRecord file at all")
    with pytest.raises(ValueError, match="where record 0 has no length"):
        RecordFiles([path])


def test_an_index_of_another_file_is_not_used(tmp_path: Path) -> None:
    (path, other), _ = written(tmp_path, 2)
    index_path(other).rename(index_path(path))
    assert len(RecordFiles([path])) == len(SIZES)


def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    (path,), everything = written(tmp_path, 1)
    whole = index_path(path).read_bytes()
    for damaged in (b"", b"no array", whole[:-5], whole[:70]):
        index_path(path).write_bytes(damaged)
        records = RecordFiles([path])
        assert records.read(np.arange(len(SIZES))) == everything


def test_no_file() -> None:
    with pytest.raises(ValueError, match=r"one TFRecord file or more\. Received: no path"):
        RecordFiles([])


def test_what_is_not_whole_has_no_name(tmp_path: Path) -> None:
    def broken() -> Any:
        yield b"first"
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_records(tmp_path / "one.tfrecord", broken())
    assert not (tmp_path / "one.tfrecord").exists()
