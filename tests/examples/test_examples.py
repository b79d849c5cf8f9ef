"""The examples run offline in smoke mode, as a script and as the notebooks that are handed out."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import nbformat
import pytest
from nbclient import NotebookClient

from tools import make_notebooks

pytestmark = pytest.mark.tensorflow

# What each prints of its ordinary run.
SAYS = {"translation": "alpha 0: BLEU"}
EXAMPLES = Path(__file__).parents[2] / "examples"
PICTURES = {"cifar": 3, "glue": 1, "hub_fine_tuning": 1, "translation": 1}
ALONE = {"CUDA_VISIBLE_DEVICES": "-1", "RDROP_SMOKE": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(EXAMPLES / f"{name}.py"), *arguments],
        env={**os.environ, **ALONE, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_every_script_is_tested() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(PICTURES)
    assert sorted(path.stem for path in EXAMPLES.glob("notebooks/*.ipynb")) == sorted(PICTURES)


# The other scripts run as their notebooks below, which hold the same code, and this one's does not.
def test_a_script_leaves_its_picture_and_its_model(tmp_path: Path) -> None:
    done = run("hub_fine_tuning", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "alpha 0: accuracy" in done.stdout
    assert "alpha 5: accuracy" in done.stdout
    assert "UserWarning" not in done.stderr
    assert (tmp_path / "out" / "hashed_words" / "saved_model.pb").is_file()
    assert (tmp_path / "out" / "reviews.keras").is_file()
    picture = matplotlib.image.imread(tmp_path / "out" / "hub_fine_tuning.png")
    assert picture.shape[0] > 300
    assert picture.std() > 0.05


@pytest.mark.parametrize("name", PICTURES)
def test_a_script_refuses_what_it_does_not_know(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the first cell runs, in this process: it ends there."""
    source = (EXAMPLES / f"{name}.py").read_text("utf-8")
    setup = next(text for kind, text in make_notebooks.cells(source) if kind == "code")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")  # as the script may, and back again
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--alhpa", "1"])
    with pytest.raises(SystemExit, match="2"):
        exec(compile(setup, f"{name}.py", "exec"), {})
    assert "unrecognized arguments: --alhpa 1" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted({*PICTURES} - {"hub_fine_tuning"}))
def test_a_notebook_runs_and_shows_its_pictures(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in {**ALONE, "TMPDIR": str(tmp_path)}.items():
        monkeypatch.setenv(key, value)
    # The backend of the suite is not that of a notebook, which shows its pictures.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(EXAMPLES / "notebooks" / f"{name}.ipynb", as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    done = NotebookClient(notebook, timeout=300, resources=resources).execute()
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    shown = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(shown) == PICTURES[name]
    assert len(list(tmp_path.glob("rdrop_*/*.png"))) == PICTURES[name]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert SAYS.get(name, "alpha 0: accuracy") in printed
    assert "UserWarning" not in printed
