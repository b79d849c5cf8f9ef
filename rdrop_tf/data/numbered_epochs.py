"""Rows that can be read by their number, epoch by epoch, without one of them read in vain."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import tree
from numpy.typing import NDArray

from rdrop_tf._optional import require
from rdrop_tf._typing import Nested
from rdrop_tf.data.epoch_data import EpochData, Share
from rdrop_tf.data.facts import facts_of_arrays

_EPOCH_BITS = 32
# Rows are put beside others of their size among so many batches' rows at a time.
BATCHES_AT_ONCE = 50


class SimilarSizes:
    """Puts rows of similar size into a batch.

    The rows of 50 batches of the drawn order are sorted by size and cut into batches, whose order
    is then drawn. It follows from the seed, the epoch and those rows alone, so that training can
    begin anywhere.

    Args:
        sizes: Of the numbers of rows, their sizes: tokens, or bytes.
    """

    def __init__(self, sizes: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> None:
        self._sizes = sizes

    def batch(
        self, rows: NDArray[np.int64], batch_size: int, place: int, seeds: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Returns the rows of one batch.

        Args:
            rows: The numbers of the rows of all batches that are made at once.
            batch_size: Rows a batch.
            place: Which of these batches.
            seeds: What the order follows from.

        Example:
        >>> similar = SimilarSizes(lambda numbers: numbers % 10)
        >>> rows = np.array([1, 19, 11, 9])
        >>> sorted(similar.batch(rows, 2, place, np.array([0, 0])).tolist() for place in (0, 1))
        [[1, 11], [19, 9]]
        """
        by_size = rows[np.argsort(self._sizes(rows), kind="stable")]
        order = np.random.default_rng(seeds).permutation(-(-len(rows) // batch_size))
        begin = order[place] * batch_size
        return by_size[begin : begin + batch_size]


class NumberedEpochs(EpochData):
    """Rows that are read by their number, in an order that follows from (seed, epoch).

    The row at a place of an epoch is worked out from the place alone
    (`tf.random.experimental.index_shuffle`): nothing is held in memory, an epoch is begun anywhere
    without reading what came before, and each of several workers reads its own rows of each batch
    and no others.

    Args:
        rows: How many there are; their numbers are 0 to `rows - 1`.
        read: Turns an int64 tensor of numbers into a batch of these rows, as `fit` takes it; traced
            by `tf.data`.
        batch_size: Rows a batch; the last one of an epoch may have fewer.
        seed: Of the orders.
        shuffle: False leaves the rows in their order.
        transform: What is done to each batch: called with its parts and an int64 number from which
            whatever it draws follows.
        similar: Puts rows of similar size together; None takes them as they come.

    Raises:
        ImportError: If TensorFlow is missing.
        ValueError: If there is no row, or `batch_size` is below 1.

    Example:
    >>> data = NumberedEpochs(5, lambda numbers: (10 * numbers,), batch_size=2)
    >>> data.batches(0)
    3
    >>> sorted(int(row) for (rows,) in data.rest(epoch=3) for row in rows)
    [0, 10, 20, 30, 40]
    """

    def __init__(
        self,
        rows: int,
        read: Callable[[Any], Nested],
        batch_size: int,
        seed: int = 0,
        shuffle: bool = True,
        transform: Callable[..., Any] | None = None,
        similar: SimilarSizes | None = None,
    ) -> None:
        require("tensorflow", extra="data")
        if rows < 1 or batch_size < 1:
            raise ValueError(
                "there must be one row or more, and as many in a batch. "
                f"Received: rows={rows}, batch_size={batch_size}"
            )
        self._rows, self._read, self._batch_size = rows, read, batch_size
        self._seed, self._shuffle = seed, shuffle
        self._transform, self._similar = transform, similar

    def batches(self, epoch: int) -> int:
        """Returns how many batches an epoch has: each has as many."""
        return -(-self._rows // self._batch_size)

    def facts(self) -> dict[str, Any]:
        """Returns what the batches follow from, and the labels of three rows.

        The inputs may be pictures, which are not read alike everywhere.
        """
        seed = self._seed if self._shuffle else None
        order = {"batch_size": self._batch_size, "shuffle": self._shuffle, "seed": seed}
        import tensorflow as tf

        places = [0, self._rows // 2, self._rows - 1]
        rows = self._read(tf.constant(places, tf.int64))
        labels = rows[1:] if isinstance(rows, tuple) else ()
        arrays = [np.asarray(leaf) for leaf in tree.flatten(labels) if not _is_ragged(leaf)]
        return {**order, **facts_of_arrays(arrays, 3), "rows": self._rows}

    def rest(self, epoch: int, batch: int = 0) -> Any:
        """Returns the batches of an epoch from number `batch` on."""
        return self._mapped(epoch, batch, lambda number: self._make(epoch, number))

    def shared(self, epoch: int, batch: int, share: Share) -> Any:
        """Returns the rows of one worker's replicas, batch by batch."""
        first = batch * share.count

        def make(turn: Any) -> Any:
            replica = share.first + turn % share.count
            return self._make(epoch, turn // share.count, share, replica)

        return self._mapped(epoch, first, make, share.count)

    def _mapped(
        self, epoch: int, first: int, make: Callable[[Any], Any], turns_a_batch: int = 1
    ) -> Any:
        import tensorflow as tf

        numbers = tf.data.Dataset.range(first, self.batches(epoch) * turns_a_batch)
        # Nothing here depends on a tensor's value: converting it costs seconds and gains nothing.
        plain = tf.autograph.experimental.do_not_convert(make)
        return numbers.map(plain, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    def _make(
        self, epoch: int, batch: Any, share: Share | None = None, replica: Any = None
    ) -> Nested:
        """Makes one batch, or a replica's rows of it, in a graph."""
        numbers = self._numbers(epoch, batch)
        draws = (epoch << _EPOCH_BITS) + batch
        if share is not None:
            import tensorflow as tf

            begin, end = share.rows(tf.size(numbers, tf.int64), replica)
            numbers = numbers[begin:end]
            draws = draws * share.replicas + replica
        rows = self._read(numbers)
        if self._transform is None:
            return rows
        return self._transform(*rows, draws)

    def _numbers(self, epoch: int, batch: Any) -> Any:
        """Returns the numbers of a batch's rows."""
        import tensorflow as tf

        at_once = 1 if self._similar is None else BATCHES_AT_ONCE
        group, size = batch // at_once, self._batch_size
        begin = group * at_once * size
        places = tf.range(begin, tf.minimum(begin + at_once * size, self._rows))
        seeds = np.random.SeedSequence([self._seed, epoch]).generate_state(2).astype(np.int64)
        numbers = self._shuffled(places, seeds)
        if self._similar is None:
            return numbers
        similar = self._similar

        def choose(rows: Any, batch: Any) -> NDArray[np.int64]:
            own = np.append(seeds, batch // at_once)
            return similar.batch(rows, size, int(batch % at_once), own)

        chosen = tf.numpy_function(choose, [numbers, batch], tf.int64, stateful=False)
        return tf.ensure_shape(chosen, [None])

    def _shuffled(self, places: Any, seeds: NDArray[np.int64]) -> Any:
        if not self._shuffle:
            return places
        import tensorflow as tf

        # It takes two seeds of 32 bits each.
        own = tf.constant(seeds & 0x7FFFFFFF, tf.int32)
        last = tf.constant(self._rows - 1, tf.int64)
        return tf.random.experimental.index_shuffle(places, own, last)


def _is_ragged(leaf: Any) -> bool:
    return hasattr(leaf, "row_splits")
