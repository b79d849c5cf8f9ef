import io
import os
from types import SimpleNamespace

import pytest

from rdrop_tf.tasks import Progress, progress
from rdrop_tf.tasks.progress import ProgressOfTraining


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_at_every_tenth() -> None:
    stream, clock = io.StringIO(), _Clock()
    with Progress(20, stream, clock) as progress:
        for step in range(1, 21):
            clock.now += 6
            progress.advance(1, f"step {step}")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "10 %  step 2  1:48 left"
    assert lines[-1] == "100 %  step 20  0:00 left"


def test_small_amounts_add_up_to_all() -> None:
    stream = io.StringIO()
    with Progress(1.0, stream) as progress:
        for _ in range(10):
            progress.advance(0.1, "")
    assert [line.split(" %")[0] for line in stream.getvalue().splitlines()] == [
        str(10 * tenth) for tenth in range(1, 11)
    ]


def test_a_leap_over_tenths_is_one_line() -> None:
    stream = io.StringIO()
    with Progress(10, stream) as progress:
        progress.advance(5, "half")
        progress.advance(0.5, "a little more")
    assert stream.getvalue().startswith("50 %  half")
    assert stream.getvalue().count("\n") == 1


def test_long_jobs_count_hours() -> None:
    stream, clock = io.StringIO(), _Clock()
    with Progress(2, stream, clock) as progress:
        clock.now = 3600 + 2 * 60 + 5
        progress.advance(1, "half")
    assert stream.getvalue() == "50 %  half  1:02:05 left\n"


def test_a_terminal_shows_one_line_that_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 20)))
    stream, clock = _Terminal(), _Clock()
    with Progress(4, stream, clock) as progress:
        clock.now = 10
        progress.advance(1, "run 1 of 4: alpha 0")
        progress.advance(1, "a text much longer than the columns that are left on the line")
    start, first, second = stream.getvalue().split("\r")[1:]
    assert start.rstrip() == "[------------------------]   0 %  starting"
    assert first.rstrip() == "[######------------------]  25 %  run 1 of 4: alpha 0  0:30"
    assert len(first) == 59
    assert len(second.rstrip("\n")) == 59
    assert second.endswith("\n")


def test_what_is_said_has_a_line_of_its_own() -> None:
    stream = _Terminal()
    with Progress(2, stream) as progress:
        progress.say("the data")
        progress.say(None)
        progress.advance(1, "a")
    starting, said, bar, _ = stream.getvalue().split("\n")
    assert starting.rstrip().endswith("starting")
    assert said == "the data"
    assert " 50 %  a" in bar


def test_an_error_leaves_the_bar_on_a_line_of_its_own() -> None:
    stream = _Terminal()
    progress = Progress(2, stream)
    progress.advance(1, "half")
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert stream.getvalue().endswith("\n")


def test_nothing_done_nothing_shown() -> None:
    stream = io.StringIO()
    with Progress(2, stream):
        pass
    assert stream.getvalue() == ""


class _Told:
    """Remembers what a progress is told."""

    def __init__(self) -> None:
        self.amounts: list[float] = []
        self.texts: list[str] = []

    def advance(self, amount: float, text: str) -> None:
        self.amounts.append(amount)
        self.texts.append(text)


def _train(
    monkeypatch: pytest.MonkeyPatch, seconds_a_step: float, steps: int | None
) -> tuple[_Told, list[int]]:
    """Runs two epochs of four steps; returns what was told, and how often after each epoch."""
    clock, told = _Clock(), _Told()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock))
    callback = ProgressOfTraining(told, 2.0, lambda epoch: f"epoch {epoch}")  # type: ignore[arg-type]
    callback.set_params({"steps": steps, "epochs": 2})
    counts = []
    for epoch in range(2):
        callback.on_epoch_begin(epoch)
        for step in range(4):
            clock.now += seconds_a_step
            callback.on_train_batch_end(step)
        callback.on_epoch_end(epoch)
        counts.append(len(told.amounts))
    return told, counts


def test_long_steps_are_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    told, counts = _train(monkeypatch, 0.6, 4)
    assert told.amounts == [0.5, 0.5, 0.5, 0.5, 0.0] * 2
    assert counts == [5, 10]
    assert told.texts == ["epoch 1"] * 5 + ["epoch 2"] * 5


def test_short_steps_are_told_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    told, _ = _train(monkeypatch, 0.3, 4)
    assert told.amounts == [1.0, 1.0, 0.0] * 2


@pytest.mark.parametrize(("seconds_a_step", "steps"), [(0.01, 4), (9.0, None)])
def test_an_epoch_is_told_at_its_end(
    seconds_a_step: float, steps: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, _ = _train(monkeypatch, seconds_a_step, steps)
    assert told.amounts == [2.0, 2.0]


def test_epochs_of_another_process_are_told_at_once() -> None:
    told = _Told()
    callback = ProgressOfTraining(told, 2.0, lambda epoch: f"epoch {epoch}")  # type: ignore[arg-type]
    callback.set_params({"steps": None, "epochs": 5})
    for epoch in (3, 4):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch)
    assert told.amounts == [6.0, 2.0, 2.0]
    assert told.texts == ["epoch 4", "epoch 4", "epoch 5"]
