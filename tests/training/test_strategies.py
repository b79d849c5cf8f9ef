"""Devices by name."""

import keras
import pytest

from rdrop_tf.training import STRATEGIES, make_strategy

on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="of JAX")


def test_none_is_one_device() -> None:
    strategy = make_strategy()
    with strategy.scope():
        layer = keras.layers.Dense(2)
    assert layer.built is False
    assert (strategy.replicas, strategy.workers, strategy.is_chief) == (1, 1, True)


def test_an_unknown_name() -> None:
    with pytest.raises(ValueError, match=r"none, mirrored, multiworker, tpu\. Received: 'ps'"):
        make_strategy("ps")


def test_the_command_knows_the_same_names() -> None:
    from rdrop_tf.cli import train as command
    from rdrop_tf.tasks import train

    assert command.STRATEGIES == STRATEGIES
    assert train.__globals__["ON_NAN"] == command.ON_NAN


@pytest.mark.tensorflow
def test_workers_need_an_environment() -> None:
    with pytest.raises(ValueError, match="must be told of each other by TF_CONFIG"):
        make_strategy("multiworker", {})


@pytest.mark.tensorflow
def test_workers_come_before_everything_else() -> None:
    keras.ops.ones(1)
    with pytest.raises(ValueError, match="only before TensorFlow has done anything else"):
        make_strategy("multiworker", {"WORKER_HOSTS": "a:1,b:1", "WORKER_INDEX": "0"})


@pytest.mark.tensorflow
def test_no_tpu() -> None:
    with pytest.raises(ValueError, match="needs a TPU that TensorFlow can reach"):
        make_strategy("tpu")


@on_jax
def test_no_tpu_for_jax() -> None:
    with pytest.raises(ValueError, match=r"JAX can reach\. Received: devices of the kind 'cpu'"):
        make_strategy("tpu")
