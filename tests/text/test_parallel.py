import gzip
from pathlib import Path
from typing import Any

import pytest

from rdrop_tf.text.parallel import read_parallel

# All that ends a line for `str.splitlines`, and the byte order mark within a text.
ODD = "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i\rj\ufeffk"


def write(folder: Path, source: bytes, target: bytes) -> tuple[Path, Path]:
    paths = folder / "train.de", folder / "train.en"
    for path, content in zip(paths, (source, target), strict=True):
        path.write_bytes(content)
    return paths


def test_only_line_feeds_end_lines(tmp_path: Path) -> None:
    source = f"{ODD}\r\nzwei\n{ODD}\r\r\ndrei".encode()
    text = read_parallel(*write(tmp_path, source, b"one\ntwo\nthree\nfour\n"))
    assert text.source == [ODD, "zwei", ODD + "\r", "drei"]
    assert text.target == ["one", "two", "three", "four"]
    assert str(text.report) == "4 lines read, 4 pairs kept"


@pytest.mark.parametrize("name", ["x.gz", "x.txt"])
def test_gzip_by_content(tmp_path: Path, name: str) -> None:
    path, other = tmp_path / name, tmp_path / "plain"
    path.write_bytes(gzip.compress("ein Hund\nzwei Hünde\n".encode()))
    other.write_bytes(b"a dog\ntwo dogs\n")
    assert read_parallel(path, other).source == ["ein Hund", "zwei Hünde"]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(OSError, match=f"{name}' must be a whole gzip file"):
        read_parallel(path, other)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    text = read_parallel(*write(tmp_path, b"\xef\xbb\xbfeins\n", b"one\n"))
    assert text.source == ["eins"]


FAULTY = (
    b"eins\n\nd\xe4nisch\nvier\n \xe2\x80\xa8 \nsechssechs\nsieben\n\n",
    b"one\ntwo\nthree\n\nfive\nsix\nse\xffven\n\n",
)


def test_faulty_pairs_are_left_out_together_and_reported(tmp_path: Path) -> None:
    text = read_parallel(*write(tmp_path, *FAULTY), max_characters=9)
    assert (text.source, text.target) == (["eins"], ["one"])
    assert text.report.counts == {"empty": 4, "not UTF-8": 2, "longer than 9 characters": 1}
    assert str(text.report) == (
        "8 lines read, 1 pairs kept; 4 empty (train.de:2, train.en:4, train.de:5, …); "
        "2 not UTF-8 (train.de:3, train.en:7); 1 longer than 9 characters (train.de:6)"
    )


def test_pairs_know_the_lines_they_were_read_from(tmp_path: Path) -> None:
    text = read_parallel(*write(tmp_path, b"eins\n\ndrei\nvier\n", b"one\ntwo\nthree\nfour\n"))
    assert [text.place(i) for i in range(3)] == ["train.de:1", "train.de:3", "train.de:4"]
    assert text.only([2, 1]).place(1) == "train.de:3"


def test_an_evaluation_keeps_every_line(tmp_path: Path) -> None:
    files = write(tmp_path, *FAULTY)
    text = read_parallel(*files, max_characters=9, every_line=True)
    assert text.target == ["one", "two", "three", "", "five", "six", "se\ufffdven", ""]
    assert text.source[2] == "d\ufffdnisch"
    assert (text.report.lines, text.report.kept, len(text)) == (8, 8, 8)
    assert text.report.counts == {"empty": 4, "not UTF-8": 2, "longer than 9 characters": 1}


def test_a_replacement_character_is_utf_8(tmp_path: Path) -> None:
    text = read_parallel(*write(tmp_path, "\ufffd\n".encode(), b"x\n"))
    assert (text.source, text.report.counts) == (["\ufffd"], {})


@pytest.mark.parametrize(
    ("source", "target", "counts"),
    [
        (b"1\n2\n3\n", b"1\n2\n", (3, 2)),
        (b"1\n", b"1\n2\n\n", (1, 3)),
        (b"", b"1\n", (0, 1)),
    ],
)
@pytest.mark.parametrize("every_line", [False, True])
def test_files_of_different_length(
    tmp_path: Path, source: bytes, target: bytes, counts: tuple[int, int], every_line: bool
) -> None:
    text = rf"got {counts[0]} in '.*train.de' and {counts[1]} in '.*train.en'"
    with pytest.raises(ValueError, match=text):
        read_parallel(*write(tmp_path, source, target), every_line=every_line)


def test_tsv(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_bytes("ein Hund\ta dog\nohne\na\tb\tc\n\tempty\nzwei\u2028\ttwo\r\n".encode())
    text = read_parallel(path)
    assert (text.source, text.target) == (["ein Hund", "zwei\u2028"], ["a dog", "two"])
    assert str(text.report) == (
        "5 lines read, 2 pairs kept; 2 without two columns (pairs.tsv:2, pairs.tsv:3); "
        "1 empty (pairs.tsv:4)"
    )
    with pytest.raises(ValueError, match=r"must have two columns; got 1 in '.*tsv', line 2"):
        read_parallel(path, every_line=True)


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_no_pair(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match="there must be at least one pair of texts; got none"):
        read_parallel(*write(tmp_path, content, content))


@pytest.mark.parametrize("options", [{"max_characters": 0}, {"max_characters": -1}])
def test_wrong_arguments_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"`max_characters` must be at least 1 or None\. Received"):
        read_parallel(*write(tmp_path, b"1\n", b"1\n"), **options)
