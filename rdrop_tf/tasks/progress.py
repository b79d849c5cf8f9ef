"""How far a job is and how long it will still take."""

import shutil
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

import keras

BAR_WIDTH = 24

# Sums of small amounts fall short of a tenth by less than this.
ROUNDING = 1e-9

# How often training says how far it is: often enough to watch, too seldom to cost.
SECONDS_BETWEEN_WORDS = 0.5


class Progress:
    """A bar with the time left on a terminal, a plain line at every tenth elsewhere.

    Args:
        total: The amount of work, in any unit that is proportional to time.
        stream: Where it is shown; standard output unless told otherwise.
        clock: What tells the time, in seconds.

    Example:
    >>> with Progress(total=2) as progress:
    ...     progress.advance(2, "epoch 2 of 2")
    100 %  epoch 2 of 2  0:00 left
    """

    def __init__(
        self,
        total: float,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._stream = sys.stdout if stream is None else stream
        self._clock = clock
        self._on_terminal = self._stream.isatty()
        self._started = clock()
        self._done = 0.0
        self._tenths_shown = 0
        self._bar_is_open = False

    def advance(self, amount: float, text: str) -> None:
        """Counts work as done and says what it was."""
        self._done += amount
        share = min(self._done / self._total, 1.0)
        line = f"{text}  {_clock_time(self._time_left(share))} left"
        if self._on_terminal:
            self._redraw(share, line)
        else:
            self._print_tenth(share, line)

    def say(self, text: str | None) -> None:
        """Writes a line of its own, unless there is nothing to say."""
        if text is not None:
            self.close()
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Ends the bar's line, so that what follows starts on one of its own."""
        if self._bar_is_open:
            print(file=self._stream, flush=True)
            self._bar_is_open = False

    def __enter__(self) -> "Progress":
        """Shows a terminal that work has begun: the first step is long in coming."""
        if self._on_terminal:
            self._redraw(0.0, "starting")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _time_left(self, share: float) -> float:
        elapsed = self._clock() - self._started
        return elapsed * (1 - share) / share if share else 0.0

    def _print_tenth(self, share: float, line: str) -> None:
        tenth = int(10 * share + ROUNDING)
        if tenth > self._tenths_shown:
            self._tenths_shown = tenth
            print(f"{10 * tenth} %  {line}", file=self._stream, flush=True)

    def _redraw(self, share: float, line: str) -> None:
        filled = round(share * BAR_WIDTH)
        bar = "#" * filled + "-" * (BAR_WIDTH - filled)
        columns = shutil.get_terminal_size().columns
        text = f"[{bar}] {100 * share:3.0f} %  {line}"
        # A line as wide as the terminal wraps, and "\r" then returns to its second half.
        self._stream.write("\r" + text[: columns - 1].ljust(columns - 1))
        self._stream.flush()
        self._bar_is_open = True


class ProgressOfTraining(keras.callbacks.Callback):
    """Advances a progress by the same amount in every epoch, step by step.

    Args:
        progress: What to advance.
        amount: By how much an epoch.
        describe: A function of the epoch, counted from 1, that says what is going on.
    """

    # What was shown in another process is not shown in this one.
    is_resumed = False

    def __init__(self, progress: Progress, amount: float, describe: Callable[[int], str]) -> None:
        super().__init__()
        self._epochs_told = 0
        self.progress = progress
        self.amount = amount
        self.describe = describe

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begins the epoch's share."""
        self._text = self.describe(epoch + 1)
        self._told = 0.0
        if epoch > self._epochs_told:  # those before were trained by another process
            self.progress.advance(self.amount * (epoch - self._epochs_told), self._text)
        self._epochs_told = epoch + 1
        self._shown = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts the steps so far, where the epoch's are known and the last word is old."""
        steps = self.params["steps"]
        if steps and time.monotonic() - self._shown > SECONDS_BETWEEN_WORDS:
            self._tell(self.amount * (batch + 1) / steps)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts the rest of the epoch."""
        self._tell(self.amount)

    def _tell(self, done: float) -> None:
        self.progress.advance(done - self._told, self._text)
        self._told = done
        self._shown = time.monotonic()


def _clock_time(seconds: float) -> str:
    """Writes seconds as 4:05 or 1:04:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
