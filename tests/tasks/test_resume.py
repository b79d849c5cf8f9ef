"""A run that was killed goes on, and ends as the run that was not."""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rdrop_tf._preemption import TRY_AGAIN
from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks import Progress, RunResult, train, work_of_an_epoch
from rdrop_tf.training import TrainingStrategy
from tests.tasks.test_train import _figures, _rows
from tests.tasks.translation import toy


class Killed(Exception):  # noqa: N818
    """What stands for the end of the process."""


class DiesAt(Progress):
    """A progress that ends the process when it is told of an epoch's end."""

    def __init__(self, epoch: int) -> None:
        super().__init__(total=1e9)
        self._left = epoch * work_of_an_epoch(1.0)

    def advance(self, amount: float, text: str) -> None:
        self._left -= amount
        if self._left < 1e-6:
            raise Killed


@pytest.fixture(autouse=True)
def _saves_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["rdrop_tf.tasks.train"], "MINUTES_TO_LOSE", 1e-9)


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "unfinished").glob("step-*.npz"))


def assert_alike(found: Path, wanted: Path) -> None:
    for name in ("epochs.csv", "steps.csv"):
        rows = _rows(found / name)
        assert {row.pop("skipped", "0.0") or "0.0" for row in rows} == {"0.0"}
        assert rows == _rows(wanted / name), name
    files = [{str(p.relative_to(f)) for p in f.rglob("*")} for f in (found, wanted)]
    assert files[0] == files[1]


# With steps left out from then on, of which there are none: what is to be done after a NaN.
@pytest.mark.parametrize(("epoch", "on_nan"), [(1, "stop"), (3, "skip"), (5, "stop")])
def test_it_ends_with_the_same_files_and_figures(
    epoch: int, on_nan: str, trained: tuple[Path, RunResult], tiny: Recipe, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Killed):
        train(tiny, alpha=1.0, seed=0, folder=folder, resumable=True, progress=DiesAt(epoch))
    # Within the epoch: its end has not been saved yet.
    assert [path.name[:15] for path in checkpoints(folder)][-1] == f"step-{2 * epoch - 1:010}"
    result = train(tiny, alpha=1.0, seed=0, folder=folder, resume=True, on_nan=on_nan)
    assert _figures(result) == _figures(trained[1])
    assert_alike(folder, trained[0])


class Terminates:
    """Stands for what is called outside of `fit`, where a scheduler takes the machine away."""

    def __call__(self, *_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def test_on_sigterm_before_and_after_the_steps_it_ends_with_75(
    trained: tuple[Path, RunResult],
    tiny: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, folder = sys.modules["rdrop_tf.tasks.train"], tmp_path / "run"
    monkeypatch.setattr(module, "MINUTES_TO_LOSE", 1e9)
    handler = signal.getsignal(signal.SIGTERM)
    for moment in ("describe_environment", "plot_curves"):
        with monkeypatch.context() as patch:
            patch.setattr(module, moment, Terminates())
            with pytest.raises(SystemExit) as ended:
                train(tiny, alpha=1.0, seed=0, folder=folder, resume=True)
        assert ended.value.code == TRY_AGAIN
        assert signal.getsignal(signal.SIGTERM) is handler
    assert [path.name[:15] for path in checkpoints(folder)] == ["step-0000000010"]
    # No step is taken again: the first would end it.
    result = train(tiny, alpha=1.0, seed=0, folder=folder, resume=True, progress=DiesAt(0))
    assert _figures(result) == _figures(trained[1])
    assert_alike(folder, trained[0])


@pytest.mark.tensorflow
def test_a_worker_that_is_lost_outside_of_the_steps_is_said(
    tiny: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import tensorflow as tf

    def lost(*_: Any) -> None:
        text = "Collective ops is aborted by: it is gone\nThe error could be from anywhere"
        raise tf.errors.UnavailableError(None, None, text)

    monkeypatch.setattr(sys.modules["rdrop_tf.tasks.train"], "describe_environment", lost)
    two = TrainingStrategy("multiworker", replicas=2, workers=2)
    with pytest.raises(SystemExit) as ended:
        train(tiny, alpha=1.0, seed=0, folder=tmp_path / "run", resume=True, strategy=two)
    assert ended.value.code == 75
    said = capfd.readouterr().err
    assert "another worker of this training has ended" in said
    assert "TensorFlow says: it is gone" in said


def test_an_ended_run_is_not_trained_again(
    trained: tuple[Path, RunResult], tiny: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["rdrop_tf.tasks.train"], "make_task", None)
    assert train(tiny, alpha=1.0, seed=0, folder=trained[0], resume=True) == trained[1]


def test_where_nothing_was_begun_it_begins(tiny: Recipe, tmp_path: Path) -> None:
    short = replace(tiny, epochs=1)
    result = train(short, alpha=1.0, seed=0, folder=tmp_path / "new", resume=True)
    assert result.test > 0


CHANGES: dict[str, tuple[Callable[[Recipe], Recipe], dict[str, Any], str]] = {
    "alpha": (lambda recipe: recipe, {"alpha": 2.0}, "alpha=1.0, not 2.0"),
    "seed": (lambda recipe: recipe, {"seed": 4}, "seed=0, not 4"),
    "a setting": (
        lambda recipe: replace(recipe, model={**recipe.model, "width": 32}),
        {},
        "recipe.model.width=16, not 32",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_other_settings_are_refused(
    name: str, trained: tuple[Path, RunResult], tiny: Recipe
) -> None:
    change, options, text = CHANGES[name]
    with pytest.raises(ValueError, match=rf"settings it began with; got .* with {text}: give"):
        train(change(tiny), **{"alpha": 1.0, "seed": 0, **options}, folder=trained[0], resume=True)


def test_a_folder_of_something_else_is_refused(tiny: Recipe, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="a run needs a new or empty folder"):
        train(tiny, alpha=1.0, seed=0, folder=tmp_path, resume=True)


def test_translation_with_averages_and_subword_dropout(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    (tmp_path / "text").mkdir()
    recipe = toy.recipe(toy.write_files(tmp_path / "text"), epochs=2)
    recipe = replace(recipe, average=2, data={**recipe.data, "subword_dropout": 0.1})
    whole = train(recipe, alpha=1.0, seed=0, folder=tmp_path / "whole")
    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        train(recipe, alpha=1.0, seed=0, folder=folder, resumable=True, progress=DiesAt(2))
    result = train(recipe, alpha=1.0, seed=0, folder=folder, resume=True)
    assert _figures(result) == _figures(whole)
    losses = [
        [row["loss"] for row in _rows(path / "steps.csv")] for path in (folder, tmp_path / "whole")
    ]
    assert losses[0] == losses[1]
    assert np.isfinite(json.loads((folder / "result.json").read_text())["test"])
