"""The parts of a data set, in memory or streamed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import keras
import numpy as np
from keras import ops, tree
from numpy.typing import NDArray

from rdrop_tf._typing import Nested

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
    """Inputs and their targets, read while they are used.

    Args:
        source: A `tf.data.Dataset` of single rows, in the same order each time: of (x, y), or of
            what `load` makes (x, y) of.
        rows: How many it has.
        load: Reads a row that `source` only names. Names are small, so all of them are shuffled;
            of rows themselves a buffer is.
    """

    source: "tf.data.Dataset"
    rows: int
    load: Callable[..., Any] | None = None

    @property
    def dataset(self) -> "tf.data.Dataset":
        """Returns the rows (x, y) in their order."""
        return self._loaded(self.source)

    def shuffled(self, seed: int) -> "tf.data.Dataset":
        """Returns the rows (x, y) in an order that follows from the seed."""
        buffer = self.rows if self.load is not None else min(self.rows, STREAM_BUFFER)
        return self._loaded(self.source.shuffle(buffer, seed=seed, reshuffle_each_iteration=False))

    def first(self, rows: int) -> "Stream":
        """Returns the first rows."""
        return replace(self, source=self.source.take(rows), rows=min(rows, self.rows))

    def without_first(self, rows: int) -> "Stream":
        """Returns all rows but the first."""
        return replace(self, source=self.source.skip(rows), rows=max(0, self.rows - rows))

    def _loaded(self, source: "tf.data.Dataset") -> "tf.data.Dataset":
        import tensorflow as tf

        if self.load is None:
            return source
        return source.map(self.load, num_parallel_calls=tf.data.AUTOTUNE)


# Rows of a stream that wait to be drawn from: 1,000 images of 384 by 384 take 0.4 GB.
STREAM_BUFFER = 1000

Part: TypeAlias = Examples | Stream


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
    x, _ = next(iter(part.dataset.batch(rows)))
    return x


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
        return part.y, np.asarray(model.predict(part.x, batch_size=batch_size, verbose=0))
    targets, predicted = [], []
    for x, y in part.dataset.batch(batch_size):
        targets.append(ops.convert_to_numpy(y))
        if getattr(model, "_distribute_strategy", None) is None:
            predicted.append(np.asarray(model.predict_on_batch(x)))
    if not predicted:  # `predict_on_batch` would give the whole batch to every replica
        batches = part.dataset.map(lambda x, y: x).batch(batch_size)
        predicted.append(np.asarray(model.predict(batches, verbose=0)))
    return np.concatenate(targets), np.concatenate(predicted)
