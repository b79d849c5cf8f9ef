"""The batches that a part is trained on: a function of (seed, epoch, place)."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Protocol, TypeAlias

import keras
import numpy as np
from keras import tree
from numpy.typing import NDArray

from rdrop_tf._typing import Nested
from rdrop_tf.data import EpochData, NumberedEpochs, Share, SimilarSizes, facts_of_arrays
from rdrop_tf.tasks.parts import Examples, NumberedRows, Part, Stream, take

Order: TypeAlias = NDArray[np.int64]
# Puts rows, in the order that was drawn for an epoch, into batches of a size.
Grouping: TypeAlias = Callable[[Order, int, np.random.Generator], list[Order]]

_EPOCH_BITS = 32


class Transform(Protocol):
    """What turns batches into those that are trained on."""

    def __call__(self, x: Nested, y: Nested, batch: Any) -> tuple[Nested, Nested]:
        """Transforms a batch; what is drawn for it follows from `batch`, an int64 number.

        With TensorFlow this is traced, by `tf.data.Dataset.map`; without it called on arrays.
        """


def in_order(order: Order, batch_size: int, generator: np.random.Generator) -> list[Order]:
    """Puts rows into batches as they come; the last one may have fewer."""
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


class TrainingBatches(EpochData):
    """The batches of a part, in an order that follows from (seed, epoch).

    With TensorFlow installed they come from `tf.data`, prepared while the model trains; without
    it from a `keras.utils.PyDataset`. A part in memory, or whose rows are read by their number, is
    shuffled as a whole, and begun anywhere without reading what came before.

    Args:
        part: The rows.
        batch_size: Rows a batch; the last one of an epoch may have fewer.
        seed: Of the orders.
        transform: What is done to each batch.
        grouping: How rows are put into batches, of those in memory and of those that are read by
            their number; None takes them as they come.

    Example:
    >>> batches = TrainingBatches(Examples(np.arange(5), np.arange(5)), 2, seed=0)
    >>> batches.batches(epoch=0)
    3
    >>> sorted(int(row) for x, y in batches.rest(epoch=7) for row in y)
    [0, 1, 2, 3, 4]
    """

    def __init__(
        self,
        part: Part,
        batch_size: int,
        seed: int,
        transform: Transform | None = None,
        grouping: Grouping | SimilarSizes | None = None,
    ) -> None:
        self._part, self._batch_size, self._seed = part, batch_size, seed
        self._transform = transform
        self._grouping = in_order if isinstance(grouping, SimilarSizes | None) else grouping
        self._columns: Nested = None
        self._numbered: NumberedEpochs | None = None
        if isinstance(part, NumberedRows):
            similar = grouping if isinstance(grouping, SimilarSizes) else None
            self._numbered = NumberedEpochs(
                part.rows, part.read, batch_size, seed, transform=transform, similar=similar
            )

    def batches(self, epoch: int) -> int:
        """Returns how many batches an epoch has: each has as many."""
        return -(-self._part.rows // self._batch_size)

    def facts(self) -> dict[str, Any]:
        """Returns what the batches follow from."""
        if self._numbered is not None:
            return self._numbered.facts()
        order = {"batch_size": self._batch_size, "seed": self._seed}
        if isinstance(self._part, Examples):
            return {**order, **facts_of_arrays(tuple(self._part), self._part.rows)}
        return {**order, "rows": self._part.rows}

    def rest(self, epoch: int, batch: int = 0) -> Any:
        """Returns the batches of an epoch from number `batch` on."""
        if self._numbered is not None:
            return self._numbered.rest(epoch, batch)
        if isinstance(self._part, Stream):
            return self._streamed(self._part, epoch, batch)
        assert isinstance(self._part, Examples)
        generator = np.random.default_rng([self._seed, epoch])
        order = generator.permutation(self._part.rows)
        if self._transform is None and self._grouping is in_order and _has_tensorflow():
            return self._taken(self._part, order[batch * self._batch_size :])
        plan = self._grouping(order, self._batch_size, generator)[batch:]
        first = (epoch << _EPOCH_BITS) + batch
        if not _has_tensorflow():
            return _Planned(self._part, plan, first, self._transform)
        return self._gathered(self._part, plan, first)

    def shared(self, epoch: int, batch: int, share: Share) -> Any:
        """Returns one worker's rows, where they are read by their number."""
        return None if self._numbered is None else self._numbered.shared(epoch, batch, share)

    def _taken(self, part: Examples, order: Order) -> Any:
        """Takes the rows of an epoch at once: there is nothing to trace, which takes 50 ms."""
        import tensorflow as tf

        rows = tf.data.Dataset.from_tensor_slices(tuple(take(part, order)))
        # There is nothing to tune or to rewrite, which would take most of a short epoch's time.
        options = tf.data.Options()
        options.autotune.enabled = False
        options.experimental_optimization.apply_default_optimizations = False
        return rows.batch(self._batch_size).prefetch(2).with_options(options)

    def _gathered(self, part: Examples, plan: list[Order], first: int) -> Any:
        import tensorflow as tf

        if self._columns is None:  # once, as it copies the data
            self._columns = tree.map_structure(tf.constant, tuple(part))
        columns = self._columns
        rows = tf.constant(np.concatenate(plan))
        ends = tf.constant(np.cumsum([len(batch) for batch in plan]))
        transform = self._transform

        def make(number: Any) -> tuple[Any, Any]:
            begin = tf.where(number > 0, ends[tf.maximum(number - 1, 0)], 0)
            chosen = rows[begin : ends[number]]
            x, y = tree.map_structure(lambda leaf: tf.gather(leaf, chosen), columns)
            return (x, y) if transform is None else transform(x, y, number + first)

        return _mapped(tf.data.Dataset.range(len(plan)), make)

    def _streamed(self, part: Stream, epoch: int, batch: int) -> Any:
        import tensorflow as tf

        seed = int(np.random.SeedSequence([self._seed, epoch]).generate_state(1)[0])
        dataset = part.shuffled(seed).batch(self._batch_size).skip(batch)
        if self._transform is None:
            return dataset.prefetch(tf.data.AUTOTUNE)
        transform = self._transform
        first = (epoch << _EPOCH_BITS) + batch
        numbers = tf.data.Dataset.range(first, first + self.batches(epoch) - batch)
        return _mapped(
            tf.data.Dataset.zip(dataset, numbers), lambda xy, n: transform(xy[0], xy[1], n)
        )


class _Planned(keras.utils.PyDataset):
    """Batches of rows of arrays, as planned."""

    def __init__(
        self, part: Examples, plan: list[Order], first: int, transform: Transform | None
    ) -> None:
        super().__init__()
        self._part, self._plan, self._first, self._transform = part, plan, first, transform

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, index: int) -> Any:
        x, y = take(self._part, self._plan[index])
        return (x, y) if self._transform is None else self._transform(x, y, self._first + index)


def _has_tensorflow() -> bool:
    return find_spec("tensorflow") is not None


def _mapped(dataset: Any, function: Callable[..., Any]) -> Any:
    import tensorflow as tf

    # Nothing here depends on a tensor's value: converting it costs seconds and gains nothing.
    plain = tf.autograph.experimental.do_not_convert(function)
    return dataset.map(plain, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
