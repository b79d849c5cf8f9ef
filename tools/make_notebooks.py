"""Makes examples/notebooks/*.ipynb from the scripts in examples/.

    python tools/make_notebooks.py            after a change of a script
    python tools/make_notebooks.py --check    exits with 1 where a notebook is out of date

A string that stands by itself becomes a text cell, the code between two of them a code cell.
The notebooks hold no outputs.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

EXAMPLES = Path(__file__).parent.parent / "examples"
TITLE_FIELD = re.compile(r"(\w[\w ]*): (.+)")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def main(check: bool) -> int:
    """Writes the notebooks, or says which are out of date."""
    wanted = {script: as_text(script) for script in sorted(EXAMPLES.glob("*.py"))}
    if not check:
        for script, text in wanted.items():
            place(script).parent.mkdir(exist_ok=True)
            place(script).write_text(text, encoding="utf-8")
        return 0
    stale = [script for script, text in wanted.items() if not shows(script, text)]
    for script in stale:
        print(f"{place(script).name} does not show {script.name}: run tools/make_notebooks.py")
    return int(bool(stale))


def place(script: Path) -> Path:
    return script.parent / "notebooks" / f"{script.stem}.ipynb"


def shows(script: Path, text: str) -> bool:
    return place(script).is_file() and place(script).read_text("utf-8") == text


def as_text(script: Path) -> str:
    try:
        made = notebook(script.stem, script.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{script.name}: {error}") from error
    return nbformat.writes(made) + "\n"


def notebook(name: str, source: str) -> NotebookNode:
    """Makes a notebook that depends on the script's name and text alone."""
    made = nbformat.v4.new_notebook(metadata=METADATA)
    for number, (kind, text) in enumerate(cells(source)):
        new = nbformat.v4.new_markdown_cell if kind == "markdown" else nbformat.v4.new_code_cell
        # Ids are random unless given.
        made.cells.append(new(text, id=f"{name}-{number}"))
    nbformat.validate(made)
    return made


def cells(source: str) -> Iterator[tuple[str, str]]:
    """Yields the kind and the text of each cell, the title block first."""
    body, lines = ast.parse(source).body, source.splitlines()
    strings = [node for node in body if prose(node) is not None]
    if not strings or strings[0] is not body[0]:
        raise ValueError("an example must begin with its title block; got other code first")
    ends = [*(node.lineno - 1 for node in strings[1:]), len(lines)]
    for node, end in zip(strings, ends, strict=True):
        text = prose(node) or ""
        yield "markdown", title(text) if node is body[0] else text
        code = "\n".join(lines[node.end_lineno : end]).strip("\n")
        if code:
            yield "code", code


def prose(node: ast.stmt) -> str | None:
    """Returns the text of a string that stands by itself."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        text = node.value.value
        return text.strip("\n") if isinstance(text, str) else None
    return None


def title(block: str) -> str:
    """Turns the title block into a heading and a list of its other fields."""
    fields = [TITLE_FIELD.fullmatch(line) for line in block.splitlines()]
    if not all(fields) or not fields[0] or fields[0][1] != "Title":
        raise ValueError(
            "a title block must have lines of the form 'Field: text', 'Title' first; got "
            f"{block.splitlines()[:1]}"
        )
    others = "\n".join(f"- **{field[1]}:** {field[2]}" for field in fields[1:] if field)
    return f"# {fields[0][2]}\n\n{others}"


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
