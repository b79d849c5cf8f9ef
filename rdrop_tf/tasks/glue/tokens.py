"""Texts to token ids, once, and batches no longer than they need to be."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Batches are cut to a multiple of this many tokens.
LENGTH_STEP = 8
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


class CutToLongest:
    """Cuts batches of `tf.data` to what their longest row needs, rounded up to whole steps.

    In a graph of TensorFlow any length does; code compiled by XLA would be compiled for each.
    """

    def __call__(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Cuts one batch."""
        import tensorflow as tf

        longest = tf.reduce_max(tf.reduce_sum(tf.cast(x["padding_mask"], tf.int32), axis=1))
        kept = -(-longest // LENGTH_STEP) * LENGTH_STEP
        return {name: leaf[:, :kept] for name, leaf in x.items()}, y

    def over(self, dataset: Any) -> Any:
        """Cuts all batches."""
        import tensorflow as tf

        return dataset.map(self, num_parallel_calls=tf.data.AUTOTUNE)


def rows_of_full_length(tokens: dict[str, NDArray[Any]], sequence_length: int) -> int:
    """Counts the rows that fill the whole length: what was longer has been cut off."""
    return int((tokens["padding_mask"].sum(axis=1) >= sequence_length).sum())


def _rounded_up(length: int) -> int:
    return -(-length // LENGTH_STEP) * LENGTH_STEP
