"""Arrays in memory, epoch by epoch."""

from typing import Any

import keras
import numpy as np
from keras import tree
from numpy.typing import NDArray

from rdrop_tf._typing import Nested
from rdrop_tf.data.epoch_data import EpochData
from rdrop_tf.data.facts import Facts, facts_of_arrays


class ArrayEpochs(EpochData):
    """Arrays in memory, in an order that follows from (seed, epoch).

    Args:
        arrays: Inputs, and labels and weights where there are any, as `fit` takes them.
        batch_size: Rows a batch; the last one of an epoch may have fewer.
        seed: Of the orders.
        shuffle: False leaves the rows in their order.

    Raises:
        ValueError: If the arrays have different numbers of rows, or rows of different lengths.

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
        self._arrays = tuple(tree.map_structure(_to_array, part) for part in arrays)
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

    def facts(self) -> Facts:
        """Returns what the batches follow from."""
        seed = self._seed if self._shuffle else None
        order = {"batch_size": self._batch_size, "shuffle": self._shuffle, "seed": seed}
        return {**order, **facts_of_arrays(self._arrays, self._rows)}

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if not self._shuffle:
            return np.arange(self._rows)
        return np.random.default_rng([self._seed, epoch]).permutation(self._rows)


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
        take = lambda leaf: None if leaf is None else _as_fit_takes_it(leaf[rows])  # noqa: E731
        return tuple(tree.map_structure(take, part) for part in self._arrays)


def _to_array(leaf: Any) -> NDArray[Any] | None:
    """Turns what `fit` takes as an array into one; texts may come as objects."""
    if leaf is None:
        return None
    array = _ONE_OBJECT if hasattr(leaf, "row_splits") else np.asarray(leaf)
    if array.dtype != object or all(isinstance(value, str | bytes) for value in array.flat):
        return array
    kinds = {type(value) for value in array.flat}
    if all(issubclass(kind, bool | int | float | np.number) for kind in kinds):
        return array.astype(np.result_type(*kinds))  # of a table with columns of several kinds
    raise ValueError(
        "arrays that training goes back to must hold numbers or texts, in rows of one length: pad "
        "them, or pass a tf.data.Dataset in batches. "
        f"Received: {type(leaf).__name__} with rows of several lengths or of other objects"
    )


# Stands for a ragged tensor, which NumPy turns into rows of objects or refuses, as it comes.
_ONE_OBJECT = np.array([object()])


def _as_fit_takes_it(rows: NDArray[Any]) -> Any:
    """Makes tensors of texts, which Keras takes as no other array, where they can be."""
    if rows.dtype.kind not in "OSU" or keras.backend.backend() != "tensorflow":
        return rows
    import tensorflow as tf

    return tf.constant(rows)
