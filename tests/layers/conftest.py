"""The strategy of two replicas."""

from typing import Any

import pytest


@pytest.fixture(scope="session")
def mirrored() -> Any:
    """Two replicas that meet without collectives, which several strategies would mix up."""
    import tensorflow as tf

    reduction = tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=reduction)
