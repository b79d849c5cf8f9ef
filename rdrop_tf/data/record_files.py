"""Records of TFRecord files, read by their number."""

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdrop_tf._optional import require

# A record is its length (8 bytes), that number's checksum (4), the bytes, and their checksum (4).
_HEADER, _FOOTER = 12, 4


class RecordFiles:
    """The records of TFRecord files, in the order of the files, read by their number.

    Where a record begins is kept beside its file, in `FILE.index.npy`, 8 bytes a record; without
    that file it is found by reading the length of every record, once. Every record's checksum is
    checked when it is read.

    Args:
        paths: The files, on a disk of this machine or one mounted here.

    Raises:
        ImportError: If google-crc32c is missing.
        ValueError: If there is no file, or one ends within a record.

    Example:
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "letters.tfrecord"
    >>> write_records(path, [b"a", b"b", b"c"])
    3
    >>> records = RecordFiles([path])
    >>> len(records), records.read(np.array([2, 0]))
    (3, [b'c', b'a'])
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        require("google_crc32c", extra="data")
        self.paths = [Path(path) for path in paths]
        if not self.paths:
            raise ValueError("records need one TFRecord file or more. Received: no path")
        self._begins = [_index_of(path) for path in self.paths]
        # The number of each file's first record, and that of all records.
        self.firsts = np.cumsum([0, *(len(begins) - 1 for begins in self._begins)])
        self._files = [os.open(path, os.O_RDONLY) for path in self.paths]

    def __len__(self) -> int:
        return int(self.firsts[-1])

    def __del__(self) -> None:
        for file in getattr(self, "_files", []):
            os.close(file)

    def read(self, numbers: NDArray[np.int64]) -> list[bytes]:
        """Reads records.

        Args:
            numbers: Which ones, from 0.

        Returns:
            Their bytes, in this order.

        Raises:
            ValueError: If a record's checksum does not fit.
            IndexError: If there is no record of a number.
        """
        numbers = np.asarray(numbers)
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise IndexError(f"records have the numbers 0 to {len(self) - 1}; got {numbers}")
        files = np.searchsorted(self.firsts, numbers, side="right") - 1
        return [
            self._read(int(file), int(number))
            for file, number in zip(files, numbers - self.firsts[files], strict=True)
        ]

    def read_in_graph(self, numbers: Any) -> Any:
        """Reads records inside of a `tf.data` pipeline.

        Args:
            numbers: An int64 tensor of numbers.

        Returns:
            A string tensor of the same length.
        """
        import tensorflow as tf

        read = lambda wanted: np.array(self.read(wanted), dtype=object)  # noqa: E731
        records = tf.numpy_function(read, [numbers], tf.string, stateful=False)
        return tf.ensure_shape(records, [None])

    def sizes(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the bytes of records, without reading them."""
        files = np.searchsorted(self.firsts, numbers, side="right") - 1
        sizes = np.empty(len(numbers), np.int64)
        for file in np.unique(files):
            chosen = files == file
            places = numbers[chosen] - self.firsts[file]
            begins = self._begins[file]
            sizes[chosen] = begins[places + 1] - begins[places]
        return sizes - (_HEADER + _FOOTER)

    def _read(self, file: int, place: int) -> bytes:
        import google_crc32c

        begin, end = (int(byte) for byte in self._begins[file][place : place + 2])
        whole = os.pread(self._files[file], end - begin, begin)
        data = whole[_HEADER:-_FOOTER]
        found = whole[-_FOOTER:]
        if len(whole) != end - begin or found != _masked(google_crc32c.value(data)):
            raise ValueError(
                f"a record must have the checksum that was written with it. Received: record "
                f"{place} of {str(self.paths[file])!r}, which is damaged: write the file again"
            )
        return data


def write_records(path: str | Path, records: Iterable[bytes]) -> int:
    """Writes a TFRecord file and its index; what is not whole never has its name.

    Args:
        path: The file.
        records: What it is to hold.

    Returns:
        How many records it holds.

    Raises:
        ImportError: If TensorFlow is missing.
    """
    require("tensorflow", extra="data")
    import tensorflow as tf

    path = Path(path)
    aside = path.with_name(f"{path.name}.part")
    begins = [0]
    with tf.io.TFRecordWriter(str(aside)) as writer:
        for record in records:
            writer.write(record)
            begins.append(begins[-1] + len(record) + _HEADER + _FOOTER)
    index = index_path(path).with_name(f"{path.name}.index.part")
    with index.open("wb") as file:
        np.save(file, np.array(begins, np.int64))
    os.replace(index, index_path(path))
    os.replace(aside, path)
    return len(begins) - 1


def index_path(path: Path) -> Path:
    """Returns where the index of a file lies."""
    return path.with_name(f"{path.name}.index.npy")


def _index_of(path: Path) -> NDArray[np.int64]:
    """Returns where records begin, and where the last one ends."""
    size = path.stat().st_size
    try:
        begins: NDArray[np.int64] = np.load(index_path(path), mmap_mode="r")
    except (OSError, ValueError, EOFError):  # none, or a damaged one
        return _scanned(path, size)
    is_of_file = begins.dtype == np.int64 and begins.ndim == 1 and begins[-1:].tolist() == [size]
    return begins if is_of_file else _scanned(path, size)


def _scanned(path: Path, size: int) -> NDArray[np.int64]:
    begins = [0]
    with path.open("rb") as file:
        while begins[-1] < size:
            file.seek(begins[-1])
            header = file.read(_HEADER)
            end = begins[-1] + _HEADER + _FOOTER
            if len(header) == _HEADER:
                end += _length_in(header, path, len(begins) - 1)
            if end > size:
                raise ValueError(
                    f"a TFRecord file must end with a whole record. Received: {str(path)!r}, which "
                    f"ends within record {len(begins) - 1}: write it again"
                )
            begins.append(end)
    return np.array(begins, np.int64)


def _length_in(header: bytes, path: Path, number: int) -> int:
    import google_crc32c

    if header[8:] != _masked(google_crc32c.value(header[:8])):
        raise ValueError(
            "a TFRecord file must be one record behind the other, uncompressed. Received: "
            f"{str(path)!r}, where record {number} has no length: write it again"
        )
    length: int = struct.unpack("<Q", header[:8])[0]
    return length


def _masked(checksum: int) -> bytes:
    """Returns a CRC-32C as TFRecord files hold it: turned by 15 bits, and a constant added."""
    turned = (checksum >> 15) | (checksum << 17)
    return struct.pack("<I", (turned + 0xA282EAD8) & 0xFFFFFFFF)
