"""Texts to token ids, once, and batches no longer than they need to be."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Batches are cut to a multiple of this many tokens.
LENGTH_STEP = 8
# Rows are put beside others of their length among so many batches' rows at a time.
GROUPED_BATCHES = 50
ROWS_AT_ONCE = 1000


def tokenize(preprocessor: Any, texts: Sequence[Sequence[str]]) -> dict[str, NDArray[Any]]:
    """Turns texts into an encoder's inputs.

    Args:
        preprocessor: A KerasHub text classifier's.
        texts: One list of texts, or two lists for pairs.

    Returns:
        The inputs by name, (rows, tokens) each, no longer than the longest row needs.
    """
    if not preprocessor.built:  # `call`, as a pair given to the layer itself is taken for (x, y)
        preprocessor.build(None)
    columns = tuple(np.asarray(column, dtype=object) for column in texts)
    few = len(columns[0]) <= ROWS_AT_ONCE
    batches = [preprocessor.call(columns)] if few else _in_parallel(preprocessor, columns)
    parts = [{name: leaf.numpy() for name, leaf in batch.items()} for batch in batches]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    longest = int(whole["padding_mask"].sum(axis=1).max())
    return {name: leaf[:, : _rounded_up(longest)] for name, leaf in whole.items()}


def _in_parallel(preprocessor: Any, columns: tuple[NDArray[Any], ...]) -> Any:
    """Turns many rows into batches of tokens; to compile it takes longer than a few rows do."""
    import tensorflow as tf

    return (
        tf.data.Dataset.from_tensor_slices((columns,))
        .batch(ROWS_AT_ONCE)
        .map(lambda columns: preprocessor.call(columns), num_parallel_calls=tf.data.AUTOTUNE)
    )


class SimilarLengths:
    """Makes batches of `tf.data` of rows of similar length, and cuts off what none of them uses.

    The rows of `GROUPED_BATCHES` batches are sorted by length and cut into batches anew, whose
    order is then drawn: on GLUE that leaves a third to a half of the tokens of batches drawn row
    by row.

    In a graph of TensorFlow any length does; code compiled by XLA would be compiled for each.

    Args:
        batch_size: Rows a batch.
        seed: Of the order of the batches.
    """

    def __init__(self, batch_size: int, seed: int) -> None:
        self._batch_size, self._seed = batch_size, seed

    def __call__(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Cuts one batch to what its longest row needs, rounded up to whole steps."""
        import tensorflow as tf

        kept = -(-tf.reduce_max(_lengths(x)) // LENGTH_STEP) * LENGTH_STEP
        return {name: leaf[:, :kept] for name, leaf in x.items()}, y

    def over(self, dataset: Any) -> Any:
        """Makes the batches of an epoch anew."""
        import tensorflow as tf

        sorted_rows = dataset.unbatch().batch(GROUPED_BATCHES * self._batch_size).map(_by_length)
        batches = sorted_rows.unbatch().batch(self._batch_size)
        drawn = batches.shuffle(GROUPED_BATCHES, self._seed)
        # `unbatch` forgets how many there are; they are as many as before.
        drawn = drawn.apply(tf.data.experimental.assert_cardinality(dataset.cardinality()))
        return drawn.map(self, num_parallel_calls=tf.data.AUTOTUNE)


def _by_length(x: Any, y: Any) -> tuple[Any, Any]:
    """Sorts rows by length."""
    import tensorflow as tf

    order = tf.argsort(_lengths(x), stable=True)
    return {name: tf.gather(leaf, order) for name, leaf in x.items()}, tf.gather(y, order)


def _lengths(x: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_sum(tf.cast(x["padding_mask"], tf.int32), axis=1)


def rows_of_full_length(tokens: dict[str, NDArray[Any]], sequence_length: int) -> int:
    """Counts the rows that fill the whole length: what was longer has been cut off."""
    return int((tokens["padding_mask"].sum(axis=1) >= sequence_length).sum())


def _rounded_up(length: int) -> int:
    return -(-length // LENGTH_STEP) * LENGTH_STEP
