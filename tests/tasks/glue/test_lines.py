import re

import pytest

from rdrop_tf.tasks.glue import texts_from_line


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("a fine film", ("a fine film",)),
        ("  a fine film \r\n", ("a fine film",)),
        ('"quoted', ('"quoted',)),
        ("One.\tTwo.\n", ("One.", "Two.")),
        (" One. \t Two. ", ("One.", "Two.")),
    ],
)
def test_lines(line: str, texts: tuple[str, ...]) -> None:
    assert texts_from_line(line, len(texts)) == texts


@pytest.mark.parametrize(
    ("line", "count", "text"),
    [
        ("a\tb", 1, r"a line must hold one text, and a tab stands between two; got 2: 'a\tb'"),
        ("a b\n", 2, "a line must hold 2 texts, and a tab stands between two; got 1: 'a b'"),
        ("a\tb\tc", 2, r"a line must hold 2 texts, and a tab stands between two; got 3: 'a\tb\tc'"),
        ("\n", 1, "a text must not be empty; got the line ''"),
        ("a\t \n", 2, r"a text must not be empty; got the line 'a\t '"),
        ("\tb", 2, r"a text must not be empty; got the line '\tb'"),
        ("x" * 99, 2, f"got 1: '{'x' * 60}…'"),
    ],
)
def test_other_lines_are_refused(line: str, count: int, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text) + "$"):
        texts_from_line(line, count)
