"""SIGTERM, by which schedulers end a training that may go on: an exit code of its own.

Imports nothing that takes long, as the command listens from its beginning on.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# EX_TEMPFAIL of sysexits.h: a scheduler that is told so starts the job again.
TRY_AGAIN = 75


class Preempted(SystemExit):
    """Training was asked to end (SIGTERM) and can go on from where it stands; exit code 75."""

    def __init__(self) -> None:
        super().__init__(TRY_AGAIN)


@contextmanager
def preempted_on_sigterm() -> Iterator[None]:
    """Raises `Preempted` on SIGTERM, wherever the process is, in the main thread.

    For what surrounds the steps of a training, where nothing needs to be saved before the end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: Any) -> None:
        raise Preempted

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
