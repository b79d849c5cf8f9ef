"""Lines of standard input, and whether more of them are there already."""

import io
import os
import select
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

_AT_ONCE = 1 << 16


class ArrivingLines(Iterator[bytes]):
    r"""The lines of a file, a pipe or a terminal, with their line feeds.

    Whoever answers lines in batches asks whether another one has arrived, and so keeps nobody
    waiting for an answer who waits for it before writing on.

    Args:
        file: Where they come from; nothing else may read it.

    Example:
    >>> lines = ArrivingLines(io.BytesIO(b"one\ntwo"))
    >>> next(lines), lines.has_arrived(), next(lines), lines.has_arrived()
    (b'one\n', True, b'two', False)
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        try:
            self._descriptor: int | None = file.fileno()
        except (OSError, io.UnsupportedOperation):
            self._descriptor = None
        self._lines: deque[bytes] = deque()
        self._begun: list[bytes] = []
        self._ended = False

    def __next__(self) -> bytes:
        while not self._lines and not self._ended:
            self._read()
        if not self._lines:
            raise StopIteration
        return self._lines.popleft()

    def has_arrived(self) -> bool:
        """Tells whether the next line can be had without waiting."""
        while not self._lines and not self._ended and self._is_readable():
            self._read()
        return bool(self._lines)

    def _is_readable(self) -> bool:
        if self._descriptor is None:
            return True
        try:
            return bool(select.select([self._descriptor], [], [], 0)[0])
        except OSError:  # Windows knows it of sockets alone
            return True

    def _read(self) -> None:
        if self._descriptor is None:
            read = self._file.read(_AT_ONCE)
        else:  # not by `file`, which reads on until it has as much as it wants
            read = os.read(self._descriptor, _AT_ONCE)
        self._ended = not read
        *whole, rest = read.split(b"\n")
        for line in whole:
            self._lines.append(b"".join([*self._begun, line, b"\n"]))
            self._begun = []
        if rest:
            self._begun.append(rest)
        if self._ended and self._begun:
            self._lines.append(b"".join(self._begun))
