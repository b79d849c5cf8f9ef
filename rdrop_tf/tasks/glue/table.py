"""Tab-separated files with quoting off, by column name."""

import warnings
from collections.abc import Iterator, Sequence
from itertools import compress
from pathlib import Path
from typing import NamedTuple

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Table(NamedTuple):
    """Columns of a tsv file, each a list with one field a row.

    `lines` are the rows' line numbers from 1, `positions` their numbers from 0 among the rows
    of the file.
    """

    path: Path
    columns: dict[str, list[str]]
    lines: list[int]
    positions: list[int]

    def only(self, keep: Sequence[bool]) -> "Table":
        """Returns the table without the rows whose `keep` is false."""
        return Table(
            self.path,
            {name: list(compress(values, keep)) for name, values in self.columns.items()},
            list(compress(self.lines, keep)),
            list(compress(self.positions, keep)),
        )


def read_table(
    path: Path,
    required: Sequence[str],
    *,
    optional: Sequence[str] = (),
    header: Sequence[str] = (),
    drop_short_lines: bool = False,
) -> Table:
    r"""Reads columns of a tsv file: UTF-8, quotes are ordinary characters.

    A byte order mark, line ends of Windows and empty lines are tolerated.

    Args:
        path: The file.
        required: The columns it must have.
        optional: Columns to read where it has them.
        header: The names of all columns of a file whose first line is a row already.
        drop_short_lines: Leave out rows of too few fields, with a warning that counts them.

    Returns:
        The columns and where each row stands.

    Raises:
        ValueError: If the file is empty, is no UTF-8, lacks columns, or has a row of another
            number of fields than columns.

    Example:
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "dev.tsv"
    >>> _ = file.write_text('sentence\tlabel\na "quoted word \t1\n', encoding="utf-8")
    >>> read_table(file, ["label", "sentence"]).columns
    {'label': ['1'], 'sentence': ['a "quoted word ']}
    """
    lines = _split_lines(path)
    names = list(header) or _header(path, lines)
    wanted = _present(path, names, required, optional)
    rows = [
        (number, position, [fields[index] for index in wanted.values()])
        for position, (number, fields) in enumerate(
            _whole_lines(path, lines, len(names), drop_short_lines)
        )
        if fields
    ]
    if not rows:
        raise ValueError(f"a file of examples must hold rows; got none in {str(path)!r}")
    numbers, positions, fields_of_rows = zip(*rows, strict=True)
    columns = (list(column) for column in zip(*fields_of_rows, strict=True))
    return Table(path, dict(zip(wanted, columns, strict=True)), list(numbers), list(positions))


def _whole_lines(
    path: Path, lines: Iterator[tuple[int, list[str]]], count: int, drop_short: bool
) -> Iterator[tuple[int, list[str]]]:
    """Yields the lines, with no fields for one that is dropped, and says how many were."""
    dropped: list[int] = []
    for number, fields in lines:
        if drop_short and len(fields) < count:
            dropped.append(number)
            fields = []
        elif len(fields) != count:
            raise ValueError(
                f"a line must have {count} fields, as many as the file has columns; got "
                f"{len(fields)} in {str(path)!r}, line {number}: mend the line or use the "
                "official file"
            )
        yield number, fields
    if dropped:
        warnings.warn(
            f"{len(dropped)} lines of {str(path)!r} are left out: a line break inside a text "
            f"cut them short; the first is line {dropped[0]}",
            stacklevel=2,
        )


def _split_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields number and fields of each line that is not empty.

    Bytes are split at line feeds alone: Unicode has further line ends, and texts hold them.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            content = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
            content = content.rstrip(b"\r\n")
            if content:
                yield number, _decode(path, number, content).split("\t")


def _decode(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"a tsv file must be UTF-8; got the byte 0x{line[error.start]:02x} in {str(path)!r}, "
            f"line {number}: convert the file to UTF-8"
        ) from None


def _header(path: Path, lines: Iterator[tuple[int, list[str]]]) -> list[str]:
    for _, names in lines:
        return [name.strip() for name in names]
    raise ValueError(f"a tsv file must start with its header; {str(path)!r} is empty")


def _present(
    path: Path, names: list[str], required: Sequence[str], optional: Sequence[str]
) -> dict[str, int]:
    """Returns where the wanted columns are."""
    if not set(required) <= set(names):
        raise ValueError(
            f"the header must name the columns {_listed(required)}; got {_listed(names)} in "
            f"{str(path)!r}: use the official tab-separated file"
        )
    return {name: names.index(name) for name in [*required, *optional] if name in names}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
