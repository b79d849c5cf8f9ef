"""Training on several devices or machines, by name."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras

from rdrop_tf.training.cluster import Cluster, find_cluster

STRATEGIES = ("none", "mirrored", "multiworker", "tpu")


@dataclass(frozen=True)
class TrainingStrategy:
    """The devices that a model is trained on.

    Attributes:
        name: As it was asked for.
        inner: What the backend calls it: a `tf.distribute.Strategy`, a
            `keras.distribution.DataParallel`, or None for one device.
        replicas: How many devices share each batch.
        workers: How many processes there are.
        worker: The number of this one, from 0.
    """

    name: str
    inner: Any = None
    replicas: int = 1
    workers: int = 1
    worker: int = 0

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the files."""
        return self.worker == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Returns the context in which model, wrapper and optimizer are made."""
        return nullcontext() if self.inner is None else self.inner.scope()


def make_strategy(
    name: str = "none", environment: Mapping[str, str] | None = None
) -> TrainingStrategy:
    """Finds the devices that a model is to be trained on.

    With TensorFlow these are `tf.distribute` strategies, whose replicas share each batch: sizes of
    batches are those of all devices together. With JAX it is `keras.distribution.DataParallel`.

    Args:
        name: "none" is one device; "mirrored" all GPUs of this machine, or all its (logical)
            CPUs where it has none; "multiworker" several processes, see
            `rdrop_tf.training.find_cluster`, to be called before anything else of TensorFlow;
            "tpu" the TPU of this machine or its slice.
        environment: Instead of the process' environment variables, for "multiworker".

    Returns:
        The strategy, whose `scope()` the model is made in.

    Raises:
        ValueError: If there is no strategy of that name, or the machine or the environment has not
            what it needs.

    Example:
    >>> strategy = make_strategy("none")
    >>> with strategy.scope():
    ...     layer = keras.layers.Dense(2)
    >>> strategy.replicas, strategy.is_chief
    (1, True)
    """
    if name not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}. Received: {name!r}")
    if name == "none":
        return TrainingStrategy(name)
    cluster = find_cluster(environment) if name == "multiworker" else None
    backend = keras.backend.backend()
    if backend == "jax":
        return _on_jax(name, cluster)
    if backend != "tensorflow":
        raise ValueError(
            "several devices need the TensorFlow or the JAX backend. "
            f"Received: strategy {name!r} on {backend}"
        )
    if cluster is not None:
        return _of_workers(cluster)
    return _on_tpu() if name == "tpu" else _mirrored()


def _mirrored() -> TrainingStrategy:
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    return TrainingStrategy("mirrored", strategy, strategy.num_replicas_in_sync)


def _of_workers(cluster: Cluster) -> TrainingStrategy:
    import tensorflow as tf

    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.workers)}),
        task_type="worker",
        task_id=cluster.index,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer="grpc",
    )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except RuntimeError as error:
        if "program startup" not in str(error):
            raise
        raise ValueError(
            "several workers find each other only before TensorFlow has done anything else: call "
            "make_strategy('multiworker') before tensors, models and keras.utils.set_random_seed. "
            "Received: a process that has begun to compute"
        ) from error
    return TrainingStrategy(
        "multiworker",
        strategy,
        strategy.num_replicas_in_sync,
        len(cluster.workers),
        cluster.index,
    )


def _on_tpu() -> TrainingStrategy:
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
        strategy = tf.distribute.TPUStrategy(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise ValueError(
            "strategy 'tpu' needs a TPU that TensorFlow can reach (on a TPU VM TPU_NAME=local, or "
            f"the TPU's name). Received: {' '.join(str(error).split()) or type(error).__name__}"
        ) from error
    return TrainingStrategy("tpu", strategy, strategy.num_replicas_in_sync)


def _on_jax(name: str, cluster: Cluster | None) -> TrainingStrategy:
    import jax

    if cluster is not None:
        keras.distribution.initialize(
            ",".join(cluster.workers), len(cluster.workers), cluster.index
        )
    if name == "tpu" and jax.default_backend() != "tpu":
        raise ValueError(
            "strategy 'tpu' needs a TPU that JAX can reach. Received: devices of the kind "
            f"{jax.default_backend()!r}"
        )
    parallel = keras.distribution.DataParallel()
    return TrainingStrategy(
        name,
        parallel,
        int(parallel.num_model_replicas),
        jax.process_count(),
        jax.process_index(),
    )
