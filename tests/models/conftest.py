"""What the tests of models share."""

from typing import Any

import pytest


@pytest.fixture(scope="session")
def mirrored() -> Any:
    """One strategy object a process: TensorFlow mixes up the collectives of several."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
