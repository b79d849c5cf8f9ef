"""The parts of a data set, in memory or streamed, and the batches made of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import keras
import numpy as np
from keras import ops, tree
from numpy.typing import NDArray

from rdrop_tf._typing import Nested

if TYPE_CHECKING:
    import tensorflow as tf


class Transform(Protocol):
    """What turns batches into those that are trained on."""

    def __call__(self, x: Nested, y: Nested) -> tuple[Nested, Nested]:
        """Transforms one batch of arrays."""

    def over(self, dataset: "tf.data.Dataset") -> "tf.data.Dataset":
        """Transforms a `tf.data` pipeline of batches."""


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
        dataset: A `tf.data.Dataset` of single rows (x, y).
        rows: How many it has.
    """

    dataset: "tf.data.Dataset"
    rows: int


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


def training_batches(
    part: Part, batch_size: int, seed: int, transform: Transform | None = None
) -> Any:
    """Batches in an order that depends on the seed alone, another one each epoch.

    With TensorFlow installed they come from `tf.data`, prepared while the model trains; without
    it from a `keras.utils.PyDataset`. A part in memory is shuffled as a whole; of a stream a
    buffer is, beside what its reader shuffled.

    Args:
        part: The rows.
        batch_size: Rows a batch; the last one of an epoch may have fewer.
        seed: Of the order.
        transform: What is done to each batch.

    Returns:
        What `keras.Model.fit` takes.
    """
    if isinstance(part, Examples) and find_spec("tensorflow") is None:
        return _ShuffledArrays(part, batch_size, seed, transform)
    import tensorflow as tf

    if isinstance(part, Examples):
        rows = tf.data.Dataset.from_tensor_slices(tuple(part)).shuffle(part.rows, seed)
    else:
        rows = part.dataset.shuffle(min(part.rows, STREAM_BUFFER), seed)
    batches = rows.batch(batch_size)
    if transform is not None:
        batches = transform.over(batches)
    return batches.prefetch(tf.data.AUTOTUNE)


# Rows of a stream that wait to be drawn from: 1,000 images of 384 by 384 take 0.4 GB.
STREAM_BUFFER = 1000


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
        predicted.append(np.asarray(model.predict_on_batch(x)))
    return np.concatenate(targets), np.concatenate(predicted)


class _ShuffledArrays(keras.utils.PyDataset):
    """Batches of arrays, shuffled anew for each epoch."""

    def __init__(
        self, part: Examples, batch_size: int, seed: int, transform: Transform | None
    ) -> None:
        super().__init__()
        self._part, self._batch_size, self._transform = part, batch_size, transform
        self._orders = _orders(part.rows, seed)
        self._order = next(self._orders)

    def __len__(self) -> int:
        return -(-self._part.rows // self._batch_size)

    def __getitem__(self, index: int) -> Any:
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        batch = tuple(take(self._part, chosen))
        return batch if self._transform is None else self._transform(*batch)

    def on_epoch_end(self) -> None:
        self._order = next(self._orders)


def _orders(rows: int, seed: int) -> Iterator[NDArray[Any]]:
    generator = np.random.default_rng(seed)
    while True:
        yield generator.permutation(rows)
