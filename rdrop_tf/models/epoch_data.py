"""Data whose batches are a function of the epoch, so that training can begin anywhere in it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import tree
from numpy.typing import NDArray

from rdrop_tf._typing import Nested


class EpochData(ABC):
    """Batches that follow from the number of their epoch, whatever was read before."""

    @abstractmethod
    def batches(self, epoch: int) -> int:
        """Returns how many batches an epoch has."""

    @abstractmethod
    def rest(self, epoch: int, batch: int = 0) -> Any:
        """Returns what `fit` takes: the batches of an epoch from number `batch` on."""


class ArrayEpochs(EpochData):
    """Arrays in memory, in an order that follows from (seed, epoch).

    Args:
        arrays: Inputs, and labels and weights where there are any, as `fit` takes them.
        batch_size: Rows a batch; the last one of an epoch may have fewer.
        seed: Of the orders.
        shuffle: False leaves the rows in their order.

    Raises:
        ValueError: If the arrays have different numbers of rows.

    Example:
    >>> data = ArrayEpochs((np.arange(5), np.arange(5)), batch_size=2)
    >>> data.batches(0)
    3
    >>> batches = data.rest(epoch=3, batch=1)
    >>> [len(batches[i][0]) for i in range(len(batches))]
    [2, 1]
    """

    def __init__(
        self, arrays: tuple[Any, ...], batch_size: int, seed: int = 0, shuffle: bool = True
    ) -> None:
        to_array = lambda leaf: None if leaf is None else np.asarray(leaf)  # noqa: E731
        self._arrays = tuple(tree.map_structure(to_array, part) for part in arrays)
        self._batch_size, self._seed, self._shuffle = batch_size, seed, shuffle
        rows = {len(leaf) for leaf in tree.flatten(self._arrays) if leaf is not None}
        if len(rows) != 1:
            raise ValueError(
                f"all arrays must have the same number of rows. Received: {sorted(rows)} rows"
            )
        self._rows = rows.pop()

    def batches(self, epoch: int) -> int:
        """Returns how many batches an epoch has: each has as many."""
        return -(-self._rows // self._batch_size)

    def rest(self, epoch: int, batch: int = 0) -> keras.utils.PyDataset:
        """Returns the batches of an epoch from number `batch` on."""
        return _Rows(self._arrays, self._order(epoch), self._batch_size, batch)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if not self._shuffle:
            return np.arange(self._rows)
        return np.random.default_rng([self._seed, epoch]).permutation(self._rows)


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

    def rest(self, epoch: int, batch: int = 0) -> Any:
        """Returns the batches of an epoch from number `batch` on."""
        dataset = self._of_epoch(epoch)
        return dataset.skip(batch) if batch else dataset


class _Rows(keras.utils.PyDataset):
    """Batches of rows of arrays."""

    def __init__(
        self, arrays: tuple[Any, ...], order: NDArray[np.int64], batch_size: int, first: int
    ) -> None:
        super().__init__()
        self._arrays, self._batch_size = arrays, batch_size
        self._order = order[first * batch_size :]

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Nested, ...]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        take = lambda leaf: None if leaf is None else leaf[rows]  # noqa: E731
        return tuple(tree.map_structure(take, part) for part in self._arrays)


def epoch_data(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    seed: int = 0,
    shuffle: bool = True,
) -> EpochData:
    """Turns what `fit` takes into data that training can begin anywhere in.

    Args:
        x: Inputs, or a data set.
        y: Labels, where `x` does not hold them.
        sample_weight: Weights of the rows.
        batch_size: Rows a batch of arrays, 32 by default.
        seed: Of the order of arrays.
        shuffle: Whether arrays are shuffled.

    Returns:
        The data by epochs.

    Raises:
        ValueError: If their order is no function of the epoch.
    """
    if isinstance(x, EpochData):
        return x
    if hasattr(x, "cardinality"):
        return DatasetEpochs(x)
    if isinstance(x, keras.utils.PyDataset) or hasattr(x, "__next__"):
        raise ValueError(
            "data that training goes back to must give the batches of an epoch by its number: "
            "arrays, a tf.data.Dataset, or an `EpochData`. "
            f"Received: {type(x).__name__}; make it a subclass of `rdrop_tf.models.EpochData`"
        )
    parts = (x, y) if sample_weight is None else (x, y, sample_weight)
    return ArrayEpochs(parts if y is not None else (x,), batch_size or 32, seed, shuffle)


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
