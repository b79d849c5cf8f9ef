"""`tf.data` pipelines, epoch by epoch."""

from collections.abc import Callable
from typing import Any

from rdrop_tf.data.epoch_data import EpochData


class DatasetEpochs(EpochData):
    """One `tf.data.Dataset` an epoch.

    Args:
        dataset: A function of the epoch's number, which returns its batches; or a data set that
            gives the same batches in the same order each time.

    Raises:
        ValueError: If the data set draws its order anew each time, or does not know its length.

    Example:
    >>> import tensorflow as tf
    >>> rows = tf.data.Dataset.range(6)
    >>> data = DatasetEpochs(lambda epoch: rows.shuffle(6, seed=epoch).batch(2))
    >>> data.batches(0)
    3
    >>> len(list(data.rest(epoch=1, batch=2)))
    1
    """

    def __init__(self, dataset: Callable[[int], Any] | Any) -> None:
        self._of_epoch: Callable[[int], Any]
        if callable(dataset):
            self._of_epoch = dataset
        else:
            _check_order(dataset)
            self._of_epoch = lambda epoch: dataset

    def batches(self, epoch: int) -> int:
        """Returns how many batches an epoch has."""
        count = int(self._of_epoch(epoch).cardinality())
        if count < 0:
            raise ValueError(
                "a data set must know how many batches it has, so that a place in it can be "
                "gone back to: add .apply(tf.data.experimental.assert_cardinality(BATCHES)). "
                f"Received: a data set of {'endless' if count == -1 else 'unknown'} length"
            )
        return count

    def facts(self) -> dict[str, Any]:
        """Returns the form of a batch; what it holds is not known without reading it."""
        return {"element_spec": str(self._of_epoch(0).element_spec)}

    def rest(self, epoch: int, batch: int = 0) -> Any:
        """Returns the batches of an epoch from number `batch` on."""
        dataset = self._of_epoch(epoch)
        return dataset.skip(batch) if batch else dataset


def _check_order(dataset: Any) -> None:
    """Raises if a data set shuffles anew each time it is read."""
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef.FromString(dataset._as_serialized_graph().numpy())
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    if any(_draws_anew(node) for node in nodes):
        raise ValueError(
            "a data set that is shuffled anew each time has no place to go back to: pass "
            "DatasetEpochs(lambda epoch: dataset.shuffle(ROWS, seed=epoch).batch(SIZE)), or "
            "shuffle with reshuffle_each_iteration=False. "
            "Received: a data set with reshuffle_each_iteration=True"
        )


def _draws_anew(node: Any) -> bool:
    return "Shuffle" in node.op and node.attr["reshuffle_each_iteration"].b
