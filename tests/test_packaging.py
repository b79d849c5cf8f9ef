"""What is installed is what lies here."""

import subprocess
import sys
import zipfile
from pathlib import Path

from rdrop_tf import __version__
from rdrop_tf.recipes.measured import FILES

HOME = Path(__file__).parent.parent


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-q", "-w", str(tmp_path), str(HOME)], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"rdrop_tf-{__version__}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    assert "rdrop_launcher.py" in names
    held = {name for name in names if name.startswith("rdrop_tf/")}
    here = {
        str(path.relative_to(HOME))
        for path in (HOME / "rdrop_tf").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == here
    figures = {f"rdrop_tf/recipes/{name}" for name in FILES}
    assert {"rdrop_tf/py.typed", *figures} <= held


def test_the_changelog_knows_the_version() -> None:
    changelog = (HOME / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in changelog or f"## [{__version__}]" in changelog
