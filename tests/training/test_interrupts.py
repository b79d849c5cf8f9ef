"""Ctrl-C waits for the step to end, and a second one does not."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf.training.interrupts import interrupts_between_steps

pytestmark = pytest.mark.one_backend


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class LossAt:
    """A loss that does something within its n-th call."""

    __name__ = "loss"

    def __init__(self, call: int, then: Callable[[], None]) -> None:
        self._left, self._then, self.ended = call, then, 0

    def __call__(self, y: Any, predictions: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            self._then()
        self.ended += 1
        return keras.losses.mean_squared_error(y, predictions)


class Ends(keras.callbacks.Callback):
    """Counts the steps that have ended."""

    count = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.count += 1


def fit(then: Callable[[], None], *callbacks: keras.callbacks.Callback) -> tuple[LossAt, Ends]:
    """Trains 4 steps, eagerly, and does something within the second."""
    loss, ends = LossAt(2, then), Ends()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss, run_eagerly=True)
    with contextlib.suppress(KeyboardInterrupt):
        model.fit(np.ones((8, 2)), np.ones((8, 1)), 2, verbose=0, callbacks=[ends, *callbacks])
    return loss, ends


def twice() -> None:
    press()
    press()


def test_the_step_ends_first() -> None:
    with interrupts_between_steps() as callback:
        loss, ends = fit(press, callback)
    assert (loss.ended, ends.count) == (2, 2)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_one_acts_at_once() -> None:
    with interrupts_between_steps() as callback:
        loss, ends = fit(twice, callback)
    assert (loss.ended, ends.count) == (1, 1)


def test_between_steps_it_acts_at_once() -> None:
    class AtBegin(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            press()

    with interrupts_between_steps() as callback:
        loss, ends = fit(lambda: None, AtBegin(), callback)
    assert (loss.ended, ends.count) == (0, 0)


def test_a_program_that_handles_it_goes_on_doing_so() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    with interrupts_between_steps() as callback:
        loss, ends = fit(press, callback)
    assert heard == [signal.SIGINT]
    assert (loss.ended, ends.count) == (4, 4)


def test_other_threads_leave_the_handler_alone() -> None:
    found = []

    def look() -> None:
        with interrupts_between_steps():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
