"""Shards give back what was written, and refuse what is not theirs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from rdrop_tf.data import Shards, write_shards

pytestmark = pytest.mark.one_backend

ROWS = 11


def rows() -> list[dict[str, Any]]:
    """One of every kind of column."""
    generator = np.random.default_rng(0)
    return [
        {
            "label": np.int32(i),
            "score": np.float32(i / 7),
            "flag": np.bool_(i % 2),
            "text": f"Grüße {i} \u2028 ﷽",
            "both": np.array(["a" * i, ""], object),
            "padded": np.array([3, -i, 0, i % 3], np.int32),
            "ragged": generator.integers(1, 2**40, i),
            "matrix": generator.integers(0, 9, (2, 3)).astype(np.uint8),
            "reals": generator.normal(size=(2, 2)).astype(np.float32),
            "pixels": generator.integers(0, 256, (4, 5, 3), np.uint8),
            "large": generator.integers(0, 256, (70, 60, 3), np.uint8),
            "grey": generator.integers(0, 256, (70, 60, 1), np.uint8),
        }
        for i in range(ROWS)
    ]


@pytest.mark.parametrize("rows_a_shard", [4, 11, 100])
def test_every_kind_of_column_comes_back(tmp_path: Path, rows_a_shard: int) -> None:
    wanted = rows()
    assert write_shards(iter(wanted), tmp_path, rows_a_shard) == ROWS
    shards = Shards(tmp_path)
    assert len(shards) == ROWS
    order = np.random.default_rng(1).permutation(ROWS)
    found = {name: leaf.numpy() for name, leaf in shards.read(order).items()}
    assert found.keys() == wanted[0].keys()
    for name, leaf in found.items():
        for place, row in zip(order, leaf, strict=True):
            value = np.asarray(wanted[place][name])
            if name == "ragged":
                assert not row[len(value) :].any()
                row = row[: len(value)]
            if value.dtype.kind in "OU":
                read = np.vectorize(lambda text: text.decode(), otypes="O")(row)
                np.testing.assert_array_equal(read, value.astype(object))
            else:
                assert row.dtype == value.dtype
                np.testing.assert_array_equal(row, value)


def test_they_are_read_in_a_pipeline_with_known_shapes(tmp_path: Path) -> None:
    write_shards(rows(), tmp_path)
    batches = tf.data.Dataset.range(ROWS).batch(4).map(Shards(tmp_path).read)
    shapes = {name: spec.shape.as_list() for name, spec in batches.element_spec.items()}
    assert shapes["pixels"] == [None, 4, 5, 3]
    assert shapes["large"] == [None, 70, 60, 3]
    assert shapes["padded"] == [None, 4]
    assert shapes["ragged"] == [None, None]
    labels = [label for batch in batches for label in batch["label"].numpy()]
    assert labels == list(range(ROWS))


def test_lengths_are_known_without_reading(tmp_path: Path) -> None:
    write_shards(rows(), tmp_path, 4)
    shards = Shards(tmp_path)
    assert shards.measured == ["padded", "ragged"]
    found = np.concatenate([shards.lengths(shard) for shard in range(3)])
    lengths = [[max(np.flatnonzero(r["padded"])) + 1, len(r["ragged"])] for r in rows()]
    assert found.tolist() == lengths


def test_lengths_of_another_file_are_told(tmp_path: Path) -> None:
    write_shards(rows(), tmp_path, 4)
    first, last = (tmp_path / f"0000{n}.tfrecord.lengths.npy" for n in (0, 2))
    first.write_bytes(last.read_bytes())
    with pytest.raises(ValueError, match=r"lengths of 4 rows in 2 columns. Received: .*\(3, 2\)"):
        Shards(tmp_path).lengths(0)


def test_padding_takes_no_room(tmp_path: Path) -> None:
    for name, length in (("short", 3), ("long", 3000)):
        row = np.zeros(length, np.int32)
        row[:2] = 5
        write_shards([{"ids": row}] * 10, tmp_path / name)
    sizes = [(tmp_path / name / "00000.tfrecord").stat().st_size for name in ("short", "long")]
    assert sizes[0] == sizes[1]


def test_rows_are_written_as_they_come(tmp_path: Path) -> None:
    """A generator is never more than one row ahead of what has been written."""
    taken: list[int] = []

    def counted() -> Iterator[dict[str, Any]]:
        for number in range(9):
            taken.append(number)
            finished = len(list(tmp_path.glob("*.tfrecord")))
            assert finished == max(0, number - 1) // 3 or finished == number // 3
            yield {"x": np.int32(number)}

    assert write_shards(counted(), tmp_path, 3) == len(taken) == 9


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"x": np.zeros(3, np.float32)}, r"form of the first: x int32 \(3,\). .* float32"),
        ({"x": np.zeros((3, 1), np.int32)}, r"Received: int32 \(3, 1\) in row 1"),
        ({"y": np.zeros(3, np.int32)}, r"columns of the first, x. Received: y in row 1"),
    ],
)
def test_rows_of_another_form(tmp_path: Path, second: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        write_shards([{"x": np.zeros(3, np.int32)}, second], tmp_path)
    with pytest.raises(ValueError, match=r"must hold shards\.json, which is written last"):
        Shards(tmp_path)


def test_a_kind_that_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Received: float64 in 'x'"):
        write_shards([{"x": np.float64(1)}], tmp_path)


def test_nothing_to_write(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there must be rows to write\. Received: none"):
        write_shards([], tmp_path)


def test_a_folder_that_holds_shards(tmp_path: Path) -> None:
    write_shards([{"x": np.int32(1)}], tmp_path)
    with pytest.raises(ValueError, match=r"folder without any. Received: .* holds shards.json"):
        write_shards([{"x": np.int32(1)}], tmp_path)


def test_files_of_another_writing(tmp_path: Path) -> None:
    write_shards([{"x": np.int32(i)} for i in range(5)], tmp_path, 2)
    path = tmp_path / "shards.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "rows": [2, 2, 2]}))
    with pytest.raises(ValueError, match=r"rows by file \[2, 2, 2\]. Received: \[2, 2, 1\]"):
        Shards(tmp_path)
    (tmp_path / "00001.tfrecord").unlink()
    with pytest.raises(FileNotFoundError, match="00001"):
        Shards(tmp_path)
