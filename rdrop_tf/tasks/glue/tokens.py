"""Texts to token ids, once, and batches no longer than they need to be."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdrop_tf.data import untuned
from rdrop_tf.tasks.parts import Examples

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

    return untuned(
        tf.data.Dataset.from_tensor_slices((columns,))
        .batch(ROWS_AT_ONCE)
        .map(lambda columns: preprocessor.call(columns), num_parallel_calls=tf.data.AUTOTUNE)
    )


class SimilarLengths:
    """Puts rows of similar length into a batch.

    The rows of `GROUPED_BATCHES` batches are sorted by length and cut into batches, whose order
    is then drawn: on GLUE that leaves a third to a half of the tokens of batches drawn row by
    row.

    Args:
        lengths: Of all rows.

    Example:
    >>> group = SimilarLengths(np.array([5, 1, 4, 2]))
    >>> batches = group(np.arange(4), 2, np.random.default_rng(0))
    >>> sorted(sorted(batch.tolist()) for batch in batches)
    [[0, 2], [1, 3]]
    """

    def __init__(self, lengths: NDArray[Any]) -> None:
        self._lengths = lengths

    def __call__(
        self, order: NDArray[Any], batch_size: int, generator: np.random.Generator
    ) -> list[NDArray[Any]]:
        """Puts rows that come in some order into batches."""
        at_once = GROUPED_BATCHES * batch_size
        batches = []
        for start in range(0, len(order), at_once):
            rows = order[start : start + at_once]
            rows = rows[np.argsort(self._lengths[rows], kind="stable")]
            batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
        return [batches[i] for i in generator.permutation(len(batches))]


def lengths_of(part: Examples) -> NDArray[Any]:
    """Counts the tokens of each row."""
    lengths: NDArray[Any] = part.x["padding_mask"].sum(axis=1)
    return lengths


def cut_to_longest(x: Any, y: Any, batch: Any) -> tuple[Any, Any]:
    """Cuts a batch to what its longest row needs, rounded up to whole steps.

    In a graph of TensorFlow any length does; code compiled by XLA would be compiled for each.
    """
    import tensorflow as tf

    kept = -(-tf.reduce_max(_lengths(x)) // LENGTH_STEP) * LENGTH_STEP
    return {name: leaf[:, :kept] for name, leaf in x.items()}, y


def _lengths(x: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_sum(tf.cast(x["padding_mask"], tf.int32), axis=1)


def rows_of_full_length(tokens: dict[str, NDArray[Any]], sequence_length: int) -> int:
    """Counts the rows that fill the whole length: what was longer has been cut off."""
    return int((tokens["padding_mask"].sum(axis=1) >= sequence_length).sum())


def _rounded_up(length: int) -> int:
    return -(-length // LENGTH_STEP) * LENGTH_STEP
