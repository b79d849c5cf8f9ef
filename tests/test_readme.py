"""What the README shows runs and is true."""

import re
from pathlib import Path

import pytest

from rdrop_tf.cli.main import COMMANDS
from rdrop_tf.losses.convert_alpha import _RULES

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_blocks_run(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    expected = re.findall(r"print\(.*\)  # (.*)", block)
    assert capsys.readouterr().out.splitlines()[-len(expected) :] == expected or not expected


def test_it_opens_with_the_two_commands() -> None:
    assert README.index("make demo") < README.index("make test") < README.index("```python")


def test_every_alpha_and_every_command_is_there() -> None:
    for name in _RULES:
        assert f"`{name}`" in README
    for command in COMMANDS:
        assert f"rdrop {command}" in README
