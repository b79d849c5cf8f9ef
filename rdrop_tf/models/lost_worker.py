"""A worker that has gone, as the others hear of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from rdrop_tf._preemption import TRY_AGAIN


class LostWorker(SystemExit):
    """Another worker has ended or cannot be reached; ends the process with the exit code 75."""

    def __init__(self, reason: str) -> None:
        super().__init__(TRY_AGAIN)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@contextmanager
def noticing_lost_workers(workers: int) -> Iterator[None]:
    """Turns TensorFlow's error of a collective into `LostWorker`, a sentence on stderr.

    TensorFlow hears at once of a connection that is closed, and within 10 seconds of a worker that
    sends no heartbeat.

    Args:
        workers: How many train together.
    """
    if workers == 1 or keras.backend.backend() != "tensorflow":
        yield
        return
    import sys

    import tensorflow as tf

    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError) as error:
        if "Collective ops is aborted" not in str(error):
            raise
        reason = (
            "another worker of this training has ended or cannot be reached; start all of them "
            "again, with --resume they go on where they were saved. TensorFlow says: "
            f"{_cause(str(error))}"
        )
        print(reason, file=sys.stderr, flush=True)
        raise LostWorker(reason) from error


def _cause(text: str) -> str:
    """Returns what stands behind "aborted by", on one line."""
    cause = text.partition("Collective ops is aborted by:")[2].partition("The error could be")[0]
    return " ".join(cause.split())
