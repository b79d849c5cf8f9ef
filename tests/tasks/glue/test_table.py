import re
from pathlib import Path

import pytest

from rdrop_tf.tasks.glue.table import read_table


def written(folder: Path, content: bytes) -> Path:
    path = folder / "dev.tsv"
    path.write_bytes(content)
    return path


def test_columns_by_name_and_where_the_rows_stand(tmp_path: Path) -> None:
    path = written(tmp_path, b"a\tb\tc\n1\t2\t3\n4\t5\t6\n")
    table = read_table(path, ["c", "a"], optional=["b", "d"])
    assert table.columns == {"c": ["3", "6"], "a": ["1", "4"], "b": ["2", "5"]}
    assert (table.path, table.lines, table.positions) == (path, [2, 3], [0, 1])


def test_without_header_the_first_line_is_a_row(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, b"1\t2\n"), ["y"], header=["x", "y"])
    assert (table.columns, table.lines, table.positions) == ({"y": ["2"]}, [1], [0])


def test_quotes_are_ordinary_characters(tmp_path: Path) -> None:
    path = written(tmp_path, b'a\tb\n"x\ty"\n""\t\'\n')
    assert read_table(path, ["a", "b"]).columns == {"a": ['"x', '""'], "b": ['y"', "'"]}


def test_byte_order_mark_windows_lines_empty_lines_and_no_last_line_end(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbfa\tb\r\n1\t2\r\n\r\n3\t\r\n\n5\t6")
    table = read_table(path, ["a", "b"])
    assert table.columns == {"a": ["1", "3", "5"], "b": ["2", "", "6"]}
    assert (table.lines, table.positions) == ([2, 4, 6], [0, 1, 2])


@pytest.mark.parametrize("character", ["\u2028", "\x85", "\x0b", "\x1c"])
def test_only_line_feeds_end_a_line(tmp_path: Path, character: str) -> None:
    path = written(tmp_path, f"a\tb\nx{character}y\t1\n".encode())
    assert read_table(path, ["a"]).columns == {"a": [f"x{character}y"]}


def test_only_keeps_what_stays(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, b"a\n1\n2\n3\n"), ["a"]).only([True, False, True])
    assert (table.columns, table.lines, table.positions) == ({"a": ["1", "3"]}, [2, 4], [0, 2])


def test_short_lines_are_dropped_only_where_asked_and_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path, b"a\tb\n1\t2\nx\ny\n3\t4\n")
    said = re.escape(
        f"2 lines of {str(path)!r} are left out: a line break inside a text cut them short; the "
        "first is line 3"
    )
    with pytest.warns(UserWarning, match=said):
        table = read_table(path, ["a"], drop_short_lines=True)
    assert (table.columns, table.lines, table.positions) == ({"a": ["1", "3"]}, [2, 5], [0, 3])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "a tsv file must start with its header; {} is empty"),
        (b"\n\r\n", "a tsv file must start with its header; {} is empty"),
        (b"a\tb\n", "a file of examples must hold rows; got none in {}"),
        (
            b"a,b\n1,2\n",
            "the header must name the columns 'a', 'b'; got 'a,b' in {}: use the official "
            "tab-separated file",
        ),
        (
            b"a\tc\n1\t2\n",
            "the header must name the columns 'a', 'b'; got 'a', 'c' in {}: use the official "
            "tab-separated file",
        ),
        (
            b"a\tb\n1\t2\n3\n",
            "a line must have 2 fields, as many as the file has columns; got 1 in {}, line 3: "
            "mend the line or use the official file",
        ),
        (
            b"a\tb\n1\t2\t3\n",
            "a line must have 2 fields, as many as the file has columns; got 3 in {}, line 2: "
            "mend the line or use the official file",
        ),
        (
            "a\tb\n1\t2\ncaf\u00e9\t4\n".encode("latin-1"),
            "a tsv file must be UTF-8; got the byte 0xe9 in {}, line 3: convert the file to UTF-8",
        ),
        (
            "a\tb\n1\t2\n".encode("utf-16"),
            "a tsv file must be UTF-8; got the byte 0xff in {}, line 1: convert the file to UTF-8",
        ),
    ],
    ids=[
        "empty",
        "blank",
        "header only",
        "commas",
        "column",
        "short",
        "long",
        "latin-1",
        "utf-16",
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, content: bytes, text: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match="^" + re.escape(text.format(repr(str(path)))) + "$"):
        read_table(path, ["a", "b"])


def test_an_empty_file_without_header(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a file of examples must hold rows; got none in"):
        read_table(written(tmp_path, b""), ["x"], header=["x"])


def test_a_file_of_nothing_but_short_lines_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, b"a\tb\n1\n2\n")
    with pytest.warns(UserWarning, match="2 lines"), pytest.raises(ValueError, match="hold rows"):
        read_table(path, ["a"], drop_short_lines=True)
