"""Ctrl-C ends a training between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import keras


class _Steps(keras.callbacks.Callback):
    """Raises `KeyboardInterrupt` at the end of the step in which it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._in_step = self._asked = False

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._in_step = True

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._in_step = False
        if self._asked:
            self._asked = False
            raise KeyboardInterrupt

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Is the signal's handler: a second one, or one between steps, ends at once."""
        if not self._in_step or self._asked:
            raise KeyboardInterrupt
        self._asked = True


@contextmanager
def interrupts_between_steps() -> Iterator[keras.callbacks.Callback]:
    """Yields the last of a training's callbacks, with which Ctrl-C waits for the step to end.

    Within one, Python raises where it happens to be: also inside what a backend calls, where the
    interrupt is lost or takes the process with it. Elsewhere it acts at once, as does a second one.
    A program that handles the signal itself goes on doing so.

    Yields:
        The callback, for `fit`.

    Example:
    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> with interrupts_between_steps() as callback:
    ...     history = model.fit(np.ones((4, 2)), np.ones(4), callbacks=[callback], verbose=0)
    """
    steps = _Steps()
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield steps
        return
    signal.signal(signal.SIGINT, steps.hear)
    try:
        yield steps
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
