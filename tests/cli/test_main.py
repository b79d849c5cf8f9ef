import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rdrop_tf import __version__
from rdrop_tf.cli import evaluate, predict, recipes
from rdrop_tf.cli.main import main
from rdrop_tf.recipes import RECIPES

RDROP = Path(sys.executable).with_name("rdrop")
if not RDROP.exists():
    pytest.skip("the package is not installed beside this Python", allow_module_level=True)


NAMES = ", ".join(RECIPES)


def _raises(error: BaseException) -> Callable[[Any], None]:
    def run(args: Any) -> None:
        raise error

    return run


def test_done_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if not line.startswith(" ")] == list(RECIPES)
    assert shown.startswith("digits\n")
    assert "  measured: not measured here\n" in shown


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("fly", "invalid choice: 'fly'"),
        ("train", "the following arguments are required: RECIPE"),
        ("train digit", f"argument RECIPE: a recipe must be one of {NAMES}; got 'digit'"),
        ("train digits --alpha -1", "argument --alpha: alpha must be a number >= 0; got '-1'"),
        ("train digits --epochs 0", "argument --epochs: the number of epochs must be a whole"),
        ("compare digits --alphas 1", "argument --alphas: two or more different alphas must be"),
        ("compare digits --seeds 1", "argument --seeds: the number of seeds must be a whole"),
        ("train digits --colour red", "unrecognized arguments: --colour red"),
    ],
)
def test_bad_usage_is_2_and_one_line(
    line: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert text in message
    assert message.count("\n") == 1
    assert message.startswith("rdrop")
    assert message.endswith("--help)\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("alpha must be;\n got -1"), "rdrop: error: alpha must be; got -1\n"),
        (OSError(28, "No space left on device"), "rdrop: error: [Errno 28] No space left on dev"),
        (
            ValueError("in user code:\n\n  File x.py, line 2, in decode *\n\n  ValueError: a is 1"),
            "rdrop: error: a is 1\n",
        ),
        (
            ValueError(
                "in user code:\n\n File x.py\n ValueError: Exception encountered when calling "
                "Own.call().\n\n\x1b[1mb is 2\x1b[0m\n\nArguments received by Own.call():\n x=1"
            ),
            "rdrop: error: b is 2\n",
        ),
        (KeyError("loss"), "rdrop: error: KeyError: 'loss' (--debug shows where)\n"),
    ],
)
def test_failed_is_1_and_one_line(
    error: Exception,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recipes, "run", _raises(error))
    assert main(["recipes"]) == 1
    message = capsys.readouterr().err
    assert message.startswith(line)
    assert message.count("\n") == 1


@pytest.mark.parametrize("command", ["train", "compare"])
@pytest.mark.parametrize("option", ["--preset x", "--lora 4", "--data x", "--strict"])
def test_a_recipe_without_such_a_setting_refuses_it(
    command: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert main([command, "digits", "--out", str(folder), *option.split()]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"rdrop: error: {option.split()[0]} is for recipes with such a")
    assert shown.err.endswith("'digits', which has none: leave it out\n")
    assert shown.err.count("\n") == 1
    assert not folder.exists()


def test_a_warning_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(args: Any) -> None:  # as Python does, where no test collects its warnings
        print(warnings.formatwarning("two\nwords", UserWarning, "x.py", 1), end="")

    monkeypatch.setattr(recipes, "run", run)
    assert main(["recipes"]) == 0
    assert capsys.readouterr().out == "rdrop: warning: two words\n"
    assert main(["recipes", "--debug"]) == 0
    assert capsys.readouterr().out == "x.py:1: UserWarning: two\nwords\n"


@pytest.mark.parametrize("line", ["--debug recipes", "recipes --debug"])
def test_only_debug_shows_the_traceback(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "run", _raises(ValueError("no")))
    assert main(line.split()) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_an_interrupt_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "run", _raises(KeyboardInterrupt()))
    assert main(["recipes"]) == 1
    assert capsys.readouterr().err.strip() == ("rdrop: interrupted; the files written so far stay")


@pytest.mark.parametrize("command", [evaluate, predict])
def test_a_missing_run_is_named(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    name = command.__name__.rpartition(".")[2]
    assert main([name, "nowhere"]) == 1
    assert "got 'nowhere', which does not: name the folder" in capsys.readouterr().err


def test_help_is_silent_on_standard_error() -> None:
    ended = subprocess.run([RDROP, "--help"], capture_output=True, text=True, check=True)
    assert "does R-Drop help on this data?" in ended.stdout
    assert ended.stderr == ""


def test_help_does_not_wait_for_keras() -> None:
    script = """
import sys, rdrop_launcher
try:
    rdrop_launcher.main(["--help"])
finally:
    print("keras" in sys.modules)
"""
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("False\n")


def test_the_version_is_the_packages() -> None:
    ended = subprocess.run([RDROP, "--version"], capture_output=True, text=True, check=True)
    assert ended.stdout == f"rdrop {__version__}\n"


def test_ctrl_c_ends_a_training_cleanly(tmp_path: Path) -> None:
    command = [RDROP, "train", "digits", "--epochs", "1000000", "--out", str(tmp_path / "run")]
    # What this suite sets for itself, a user has not set.
    environment = {name: value for name, value in os.environ.items() if name[:7] != "TF_CPP_"}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        # A suite started in the background ignores the signal, and its children with it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    epochs = tmp_path / "run" / "epochs.csv"
    try:
        while not epochs.exists() and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert error.strip() == "rdrop: interrupted; the files written so far stay"
    assert process.returncode == 1


SMALL = [
    argument
    for setting in ("model.depth=1", "model.width=16", "model.hidden=16", "data.train=60")
    for argument in ("--set", setting)
]


def test_sigterm_ends_a_training_with_75_and_resume_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = ["train", "digits", "--epochs", "100", *SMALL, "--out", str(folder)]
    process = subprocess.Popen([RDROP, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while not (folder / "epochs.csv").exists() and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 75
    assert len(list((folder / "unfinished").glob("step-*.npz"))) == 1
    assert main([*command, "--resume"]) == 0
    steps = (folder / "steps.csv").read_text().splitlines()[1:]
    assert [int(line.split(",")[0]) for line in steps] == list(range(1, len(steps) + 1))
    assert not (folder / "unfinished").exists()


def test_sigterm_before_anything_has_begun_ends_it_with_75(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked_to_end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("rdrop_tf.cli.quiet.import_tensorflow", asked_to_end)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        main(["train", "digits"])
    assert ended.value.code == 75
    assert signal.getsignal(signal.SIGTERM) is before


def test_resume_needs_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", "--resume"]) == 2
    assert "--resume needs --out DIR" in capsys.readouterr().err
