"""TensorFlow without its start-up chatter, for people who asked for a table."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def import_tensorflow() -> None:
    """Imports Keras on TensorFlow and keeps what they print while loading from the user.

    What is set here holds for this process alone and gives way to what the user has set.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with stderr_held_back():
        import keras  # noqa: F401


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
