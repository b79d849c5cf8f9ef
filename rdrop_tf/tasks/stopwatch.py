"""Time that is measured within one process."""

import time


class Stopwatch:
    """Seconds since it was started.

    A callback that kept the clock's reading itself would get that of another process back where a
    training goes on; this object is not among the plain values that are saved.

    Example:
    >>> watch = Stopwatch()
    >>> watch.start()
    >>> watch.seconds >= 0
    True
    """

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Starts anew."""
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Returns the seconds since the start."""
        return time.perf_counter() - self._started
