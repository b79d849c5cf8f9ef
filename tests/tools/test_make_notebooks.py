from pathlib import Path

import nbformat
import pytest

from tools import make_notebooks

SCRIPT = '''# ruff: noqa: E402
"""
Title: A title
Author: somebody
Description: What it shows: everything.
"""

"""
## First

Prose.
"""

import math

ROOT = math.sqrt(4)


def double(x):
    """No cell of its own."""
    return 2 * x


"""
## Second
"""

print(double(ROOT))
'''


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "one.py").write_text(SCRIPT)
    monkeypatch.setattr(make_notebooks, "EXAMPLES", tmp_path)
    return tmp_path


def test_strings_become_text_and_what_is_between_them_code(examples: Path) -> None:
    assert make_notebooks.main(check=False) == 0
    made = nbformat.read(examples / "notebooks" / "one.ipynb", as_version=4)
    assert [(cell.cell_type, cell.source) for cell in made.cells] == [
        (
            "markdown",
            "# A title\n\n- **Author:** somebody\n- **Description:** What it shows: everything.",
        ),
        ("markdown", "## First\n\nProse."),
        (
            "code",
            "import math\n\nROOT = math.sqrt(4)\n\n\ndef double(x):\n"
            '    """No cell of its own."""\n    return 2 * x',
        ),
        ("markdown", "## Second"),
        ("code", "print(double(ROOT))"),
    ]
    nbformat.validate(made)


def test_the_same_script_makes_the_same_file(examples: Path) -> None:
    make_notebooks.main(check=False)
    path = examples / "notebooks" / "one.ipynb"
    first = path.read_bytes()
    path.unlink()
    make_notebooks.main(check=False)
    assert path.read_bytes() == first
    assert len({cell.id for cell in nbformat.read(path, as_version=4).cells}) == 5


def test_a_stale_or_missing_notebook_is_named(
    examples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_notebooks.main(check=True) == 1
    assert not (examples / "notebooks").exists()
    make_notebooks.main(check=False)
    capsys.readouterr()
    assert make_notebooks.main(check=True) == 0
    assert capsys.readouterr().out == ""
    (examples / "one.py").write_text(SCRIPT.replace("sqrt(4)", "sqrt(9)"))
    assert make_notebooks.main(check=True) == 1
    assert "one.ipynb does not show one.py: run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("import math\n", r"one\.py: an example must begin with its title block"),
        ('"""\nJust prose\n"""\n', r"one\.py: a title block must have .* got \['Just prose'\]"),
        ('"""\nAuthor: me\n"""\n', r"'Title' first; got \['Author: me'\]"),
    ],
)
def test_a_script_without_title_block_is_refused(examples: Path, script: str, error: str) -> None:
    (examples / "one.py").write_text(script)
    with pytest.raises(ValueError, match=error):
        make_notebooks.main(check=True)


def test_the_notebooks_show_the_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert make_notebooks.main(check=True) == 0, capsys.readouterr().out
