"""TensorFlow without its start-up chatter, for people who asked for a table."""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def import_tensorflow() -> None:
    """Imports Keras on TensorFlow and keeps what they print while loading from the user.

    What is set here holds for this process alone and gives way to what the user has set.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with stderr_held_back():
        import keras  # noqa: F401
    # Few shapes of sentences are few traces, and no fault of who asked for a translation.
    logging.getLogger("tensorflow").addFilter(_is_no_retracing)


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Writes warnings as a sentence, without the line of code that they come from."""
    kept = warnings.formatwarning
    warnings.formatwarning = _one_line
    try:
        yield
    finally:
        warnings.formatwarning = kept


def _one_line(message: Warning | str, *_: Any, **__: Any) -> str:
    return f"rdrop: warning: {' '.join(str(message).split())}\n"


def _is_no_retracing(record: logging.LogRecord) -> bool:
    return "tf.function retracing" not in record.getMessage()


@contextmanager
def stderr_held_back() -> Iterator[None]:
    """Drops what is written to standard error, unless an error comes out of it.

    It works on the file descriptor: TensorFlow's native code prints a few lines before it
    has read any of its settings.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            held_back.seek(0)
            os.write(kept, held_back.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
