"""What holds for the whole suite: strict backends, two logical devices, fresh seeds."""

import gc
import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# LLVM's expensive passes make machine code faster that runs once; XLA's own passes stay.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true",
)

import keras
import pytest

# Graphs are many small objects, which Python would look through again and again: with its usual
# thresholds that takes a seventh of the suite.
gc.set_threshold(200_000, 20, 100)


def pytest_configure(config: pytest.Config) -> None:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration(), tf.config.LogicalDeviceConfiguration()]
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out what needs TensorFlow's graph or strategies on the other backends."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return
    reason = pytest.mark.skip(reason=f"needs the TensorFlow backend, this is {backend}")
    for item in items:
        if item.get_closest_marker("tensorflow"):
            item.add_marker(reason)


@pytest.fixture(autouse=True)
def _fresh_seeds() -> None:
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def mirrored() -> Any:
    """One strategy object a process: TensorFlow mixes up the collectives of several."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
