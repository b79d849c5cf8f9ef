r"""Pairs of texts from files."""

import gzip
import zlib
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import IO, cast

from rdrop_tf.text.parallel_text import ParallelText, Rules, add_pair

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"


def read_parallel(
    source: str | Path,
    target: str | Path | None = None,
    *,
    max_characters: int | None = None,
    every_line: bool = False,
) -> ParallelText:
    r"""Reads texts and their translations.

    Lines end with "\n" or "\r\n" and nothing else: a form feed or U+2028 is part of a text. A
    byte order mark at the start of a file is none.

    A pair is left out, both sides of it, if a side is not UTF-8, holds nothing but blanks or is
    too long, or a line of a tsv file has not exactly two columns; `report` counts them by
    reason and names the first ones. For an evaluation, where lines must keep their numbers,
    `every_line` keeps such pairs and still counts them; bytes that are not UTF-8 become U+FFFD.

    Args:
        source: A file of texts, plain or gzip; without `target` a tsv file of two columns.
        target: The file of their translations, line by line.
        max_characters: Length of the longest text that is kept; None for any.
        every_line: Whether no line may be left out.

    Returns:
        The pairs.

    Raises:
        ValueError: If the files have different numbers of lines, there is no pair, or with
            `every_line` a line of a tsv file has not exactly two columns.
        OSError: If a file is missing or its compression is broken.

    Example:
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "train.de").write_text("ein Hund\n\n")
    >>> _ = (folder / "train.en").write_text("a dog\nnothing\n")
    >>> text = read_parallel(folder / "train.de", folder / "train.en")
    >>> text.source, text.target
    (['ein Hund'], ['a dog'])
    >>> print(text.report)
    2 lines read, 1 pairs kept; 1 empty (train.de:2)
    """
    rules = Rules(max_characters, every_line)
    text = ParallelText(name=Path(source).name)
    if target is None:
        _read_tsv(Path(source), text, rules)
    else:
        _read_two_files(Path(source), Path(target), text, rules)
    if not text.source:
        files = f"{str(source)!r}" if target is None else f"{str(source)!r} and {str(target)!r}"
        raise ValueError(
            f"there must be at least one pair of texts; got none: {files} gave {text.report}"
        )
    return text


def _read_two_files(source: Path, target: Path, text: ParallelText, rules: Rules) -> None:
    counts = [0, 0]
    for number, pair in enumerate(zip_longest(_lines(source), _lines(target)), 1):
        counts = [count + (side is not None) for count, side in zip(counts, pair, strict=True)]
        if None not in pair:
            places = [f"{path.name}:{number}" for path in (source, target)]
            add_pair(text, pair, places, rules)
    if counts[0] != counts[1]:
        raise ValueError(
            "line-aligned files must have equally many lines; got "
            f"{counts[0]} in {str(source)!r} and {counts[1]} in {str(target)!r}"
        )


def _read_tsv(path: Path, text: ParallelText, rules: Rules) -> None:
    for number, line in enumerate(_lines(path), 1):
        columns = line.split(b"\t")
        place = f"{path.name}:{number}"
        if len(columns) == 2:
            add_pair(text, columns, [place, place], rules)
        elif rules.every_line:
            raise ValueError(
                f"every line of a tsv file must have two columns; got {len(columns)} in "
                f"{str(path)!r}, line {number}"
            )
        else:
            text.report.lines += 1
            text.report.add("without two columns", place)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with _open(path) as file:
            for number, line in enumerate(file):  # ends of binary lines are "\n" alone
                line = line.removeprefix(_BYTE_ORDER_MARK) if number == 0 else line
                yield line.removesuffix(b"\n").removesuffix(b"\r")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OSError(f"{str(path)!r} must be a whole gzip file; {error}") from error


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_compressed = file.read(2) == _GZIP
    return cast("IO[bytes]", gzip.open(path)) if is_compressed else path.open("rb")
