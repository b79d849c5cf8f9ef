"""The parts of a data set: in memory, or read while they are used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import keras
import numpy as np
from keras import ops, tree
from numpy.typing import NDArray

from rdrop_tf._typing import Nested
from rdrop_tf.data import untuned

if TYPE_CHECKING:
    import tensorflow as tf


class Examples(NamedTuple):
    """Inputs and their targets in memory, row by row; `x` may be a dict or tuple of arrays."""

    x: Nested
    y: NDArray[Any]

    @property
    def rows(self) -> int:
        """Returns how many there are."""
        return len(self.y)


@dataclass(frozen=True)
class Stream:
    """Inputs and their targets, read one after the other while they are used.

    Args:
        source: A `tf.data.Dataset` of single rows (x, y), in the same order each time.
        rows: How many it has.
    """

    source: "tf.data.Dataset"
    rows: int

    def batched(self, batch_size: int) -> "tf.data.Dataset":
        """Returns batches (x, y) of the rows in their order."""
        return untuned(self.source.batch(batch_size))

    def shuffled(self, seed: int) -> "tf.data.Dataset":
        """Returns the rows (x, y) in an order that follows from the seed; a buffer is shuffled."""
        buffer = min(self.rows, STREAM_BUFFER)
        return self.source.shuffle(buffer, seed=seed, reshuffle_each_iteration=False)

    def first(self, rows: int) -> "Stream":
        """Returns the first rows."""
        return replace(self, source=self.source.take(rows), rows=min(rows, self.rows))

    def without_first(self, rows: int) -> "Stream":
        """Returns all rows but the first."""
        return replace(self, source=self.source.skip(rows), rows=max(0, self.rows - rows))


# Rows of a stream that wait to be drawn from: 1,000 images of 384 by 384 take 0.4 GB.
STREAM_BUFFER = 1000


@dataclass(frozen=True)
class NumberedRows:
    """Inputs and their targets, read by their number while they are used.

    Args:
        read_numbers: Turns an int64 tensor of numbers into a batch (x, y); traced by `tf.data`.
        rows: How many there are.
        begin: The number of the first.
    """

    read_numbers: Callable[[Any], Any]
    rows: int
    begin: int = 0

    def read(self, numbers: Any) -> Any:
        """Returns a batch (x, y) of the rows of these numbers, counted from 0."""
        return self.read_numbers(numbers + self.begin)

    def batched(self, batch_size: int) -> "tf.data.Dataset":
        """Returns batches (x, y) of the rows in their order."""
        import tensorflow as tf

        numbers = tf.data.Dataset.range(self.rows).batch(batch_size)
        read = tf.autograph.experimental.do_not_convert(self.read)
        return untuned(numbers.map(read, num_parallel_calls=tf.data.AUTOTUNE).prefetch(1))

    def first(self, rows: int) -> "NumberedRows":
        """Returns the first rows."""
        return replace(self, rows=min(rows, self.rows))

    def without_first(self, rows: int) -> "NumberedRows":
        """Returns all rows but the first."""
        return replace(self, rows=max(0, self.rows - rows), begin=self.begin + rows)


Part: TypeAlias = Examples | Stream | NumberedRows


class Splits(NamedTuple):
    """The parts of a data set: to learn from, to choose by, to report.

    `more` holds further parts to report, by a word that is put before their figures' names.
    """

    train: Part
    validation: Part
    test: Part
    more: Mapping[str, Part] = {}


def take(examples: Examples, chosen: NDArray[Any] | slice) -> Examples:
    """Takes some rows of examples.

    Args:
        examples: The examples.
        chosen: Row numbers or a slice.

    Returns:
        These rows, in this order.

    Example:
    >>> take(Examples({"id": np.arange(4)}, np.arange(4)), np.array([2, 0])).x["id"]
    array([2, 0])
    """
    return Examples(tree.map_structure(lambda leaf: leaf[chosen], examples.x), examples.y[chosen])


def first_inputs(part: Part, rows: int) -> Nested:
    """Returns the inputs of a part's first rows."""
    if isinstance(part, Examples):
        return take(part, slice(rows)).x
    x, _ = next(iter(part.batched(rows)))
    return _as_the_backend_takes_it(x)


def predictions(
    model: keras.Model, part: Part, batch_size: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Predicts a whole part.

    Args:
        model: The model; one pass, without noise.
        part: The rows.
        batch_size: Rows a batch.

    Returns:
        The targets and the predictions, in the part's order.
    """
    if isinstance(part, Examples):
        return part.y, _predictions(model, part.x, batch_size)
    targets, predicted = [], []
    for x, y in part.batched(batch_size):
        targets.append(ops.convert_to_numpy(y))
        if getattr(model, "_distribute_strategy", None) is None:
            predicted.append(np.asarray(model.predict_on_batch(_as_the_backend_takes_it(x))))
    if not predicted:  # `predict_on_batch` would give the whole batch to every replica
        batches = part.batched(batch_size).map(lambda x, y: x)
        predicted.append(np.asarray(model.predict(batches, verbose=0)))
    return np.concatenate(targets), np.concatenate(predicted)


def _predictions(model: keras.Model, x: Nested, batch_size: int) -> NDArray[Any]:
    if keras.backend.backend() != "tensorflow":
        return np.asarray(model.predict(x, batch_size=batch_size, verbose=0))
    import tensorflow as tf

    # As Keras makes of arrays, but for the tuning.
    batches = untuned(tf.data.Dataset.from_tensor_slices((x,)).batch(batch_size).prefetch(2))
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return np.asarray(model.predict(batches.with_options(options), verbose=0))


def _as_the_backend_takes_it(x: Nested) -> Nested:
    """Turns TensorFlow's tensors into arrays, which every other backend takes."""
    if keras.backend.backend() == "tensorflow":
        return x
    return tree.map_structure(np.asarray, x)
