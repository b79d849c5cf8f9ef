"""Data and files of a model that several processes train together."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from rdrop_tf._keras import array_batches, py_dataset_batches
from rdrop_tf.data import EpochData, Share, untuned
from rdrop_tf.models.strategy import is_chief, worker_count


def goes_by_epoch(model: keras.Model, x: Any, options: dict[str, Any]) -> bool:
    """Whether the workers need their data ordered by epoch: arrays, which Keras would shuffle.

    Raises:
        ValueError: If each worker would see another order.
    """
    if worker_count(model) == 1:
        return False
    if hasattr(x, "element_spec"):
        if hasattr(x, "with_options"):
            _check_seeds(x)
        return False
    if isinstance(x, keras.utils.PyDataset):
        if options.get("shuffle", True):
            raise ValueError(
                "all workers must see their batches in one order, and Keras shuffles those of a "
                "PyDataset in each process anew: pass shuffle=False, or an "
                f"rdrop_tf.data.EpochData. Received: {type(x).__name__}"
            )
        return False
    return True


def batches_of_epoch(
    model: keras.Model, data: EpochData, epoch: int, batch: int, weighs_classes: bool = False
) -> Any:
    """Returns what `fit` takes of an epoch: of several workers each reads its own rows, if it can.

    Args:
        model: What is trained.
        data: Its data.
        epoch: The number of the epoch.
        batch: The number of its first batch.
        weighs_classes: Whether `fit` has a `class_weight`, which Keras looks up otherwise in what
            it made a pipeline of by itself.
    """
    workers = worker_count(model)

    def rest() -> Any:
        batches = data.rest(epoch, batch)
        return untuned(batches if weighs_classes else _pipeline(batches))

    if workers == 1:
        return rest()
    strategy = model._distribute_strategy
    replicas = strategy.num_replicas_in_sync
    count = replicas // workers
    probed = data.shared(epoch, batch, Share(0, count, replicas))
    if probed is None:
        return for_workers(model, rest())

    def own(context: Any) -> Any:
        share = Share(context.input_pipeline_id * count, count, replicas)
        return untuned(data.shared(epoch, batch, share))

    rows = strategy.distribute_datasets_from_function(own)
    # TensorFlow counts each replica's turn, Keras the batches.
    rows._cardinality = data.batches(epoch) - batch
    return rows


def validation_by_epoch(model: keras.Model, data: Any, batch_size: int) -> Any:
    """Returns validation data that each epoch's `fit` makes an iterator of.

    Args:
        model: What is trained.
        data: As `fit` takes them.
        batch_size: Rows a batch, of arrays.
    """
    if keras.backend.backend() != "tensorflow" or worker_count(model) > 1:
        return data
    if isinstance(data, tuple):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        made = array_batches(x, y, sample_weight, batch_size)
        return data if made is None else untuned(made)
    return untuned(data)


def _pipeline(batches: Any) -> Any:
    """Makes the pipeline that Keras would make of a plain PyDataset, to have a say in it."""
    plain = keras.utils.PyDataset
    if (
        keras.backend.backend() != "tensorflow"
        or not isinstance(batches, plain)
        or batches.workers > 1
        or batches.use_multiprocessing
        or type(batches).on_epoch_begin is not plain.on_epoch_begin
        or type(batches).on_epoch_end is not plain.on_epoch_end
    ):
        return batches
    import tensorflow as tf

    made, count = py_dataset_batches(batches), batches.num_batches
    return made if count is None else made.apply(tf.data.experimental.assert_cardinality(count))


def for_workers(model: keras.Model, data: Any) -> Any:
    """Returns data of `fit` as several workers can share them; any other data as they are."""
    if worker_count(model) == 1:
        return data
    if hasattr(data, "with_options"):
        return _by_rows(data)
    if hasattr(data, "element_spec"):
        _agree_on_length(model._distribute_strategy, data)
    return data


def _by_rows(dataset: Any) -> Any:
    """Has each worker read its rows of every batch, as of a data set made of rows.

    Left to choose, TensorFlow gives each worker some of the files where there are files, and the
    batches are no longer those of one device. What its maker has chosen stays.
    """
    import tensorflow as tf

    policy = tf.data.experimental.AutoShardPolicy
    if dataset.options().experimental_distribute.auto_shard_policy != policy.AUTO:
        return dataset
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = policy.DATA
    return dataset.with_options(options)


def _agree_on_length(strategy: Any, dataset: Any) -> None:
    """Gives the workers' own data sets the length of the longest.

    Keras ends an epoch after as many batches as its own process has, and a worker with fewer would
    leave the others waiting; beyond its end it trains on empty batches.
    """
    import tensorflow as tf

    own = tf.reshape(tf.cast(dataset.cardinality, "int64"), (1,))
    local = strategy.experimental_distribute_values_from_function(lambda _: own)
    lengths = strategy.gather(local, axis=0).numpy()
    is_known = (lengths >= 0).all()
    dataset._cardinality = lengths.max() if is_known else tf.data.UNKNOWN_CARDINALITY


@contextmanager
def written_by_chief(model: keras.Model, path: Any) -> Iterator[Any]:
    """Gives the chief its path, and every other worker one that is thrown away.

    All of them have to write: reading what the replicas add up takes all of them.
    """
    if is_chief(model):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / os.path.basename(os.fspath(path))


def _check_seeds(dataset: Any) -> None:
    """Raises if a data set is shuffled without a seed."""
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef.FromString(dataset._as_serialized_graph().numpy())
    constants = {
        node.name: tf.make_ndarray(node.attr["value"].tensor)
        for node in graph.node
        if node.op == "Const" and node.attr["dtype"].type == tf.int64.as_datatype_enum
    }
    for node in graph.node:
        if not node.op.startswith("ShuffleDataset"):
            continue
        seeds = [constants.get(name.split(":")[0]) for name in node.input[2:4]]
        if all(seed is not None and int(seed) == 0 for seed in seeds):
            raise ValueError(
                "all workers must see their batches in one order: give .shuffle() a seed, the "
                "same on all workers. Received: a data set that is shuffled without one"
            )
