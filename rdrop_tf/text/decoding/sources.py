"""The sources of a `Generator`, as rows and as batches."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Sources are padded to a multiple of so many tokens, so that few shapes occur.
LENGTH_STEP = 8


def token_rows(source: Any, pad_id: int) -> list[NDArray[Any]]:
    """Returns the tokens of each sentence without the padding after them.

    Raises:
        ValueError: If a sentence is no row of integers, or has no token.
    """
    rows = []
    for number, row in enumerate(source):
        tokens = np.asarray(row)
        real = np.flatnonzero(tokens != pad_id)
        if tokens.ndim != 1 or not len(real) or not np.issubdtype(tokens.dtype, np.integer):
            raise ValueError(
                "Each source must be a row of integers with a token that is no padding; leave out "
                f"the empty ones. Received: source {number} = {tokens.tolist()!r}"
            )
        rows.append(tokens[: real[-1] + 1].astype("int32"))
    return rows


def check_rows(rows: Sequence[NDArray[Any]], decoder: Any) -> None:
    """Raises where a source is beyond the ids or the positions that a decoder says it has.

    Args:
        rows: The tokens of each source.
        decoder: The model: `vocabularies` are its numbers of source and target ids, `longest` its
            number of positions.
    """
    ids = getattr(decoder, "vocabularies", [None])[0]
    longest = getattr(decoder, "longest", None)
    for number, row in enumerate(rows):
        if ids is not None and not (row.min() >= 0 and row.max() < ids):
            wrong = row.min() if row.min() < 0 else row.max()
            raise ValueError(
                f"A source must hold ids of the model's vocabulary, 0 to {ids - 1}. Received: id "
                f"{wrong} in source {number}; take the vocabulary that the model was trained with"
            )
        if longest is not None and len(row) > longest:
            raise ValueError(
                f"A source must not be longer than the model's {longest} learned positions. "
                f"Received: source {number} of {len(row)} tokens; cut it"
            )


def batches(lengths: Sequence[int], size: int) -> Iterator[NDArray[Any]]:
    """Yields the places of sentences of similar length."""
    order = np.argsort(lengths, kind="stable")
    for first in range(0, len(order), size):
        yield order[first : first + size]


def padded(rows: Sequence[NDArray[Any]], pad_id: int, decoder: Any) -> NDArray[Any]:
    """Pads rows to a multiple of 8 tokens, but not beyond a decoder's positions."""
    longest = max(len(row) for row in rows)
    width = -(-longest // LENGTH_STEP) * LENGTH_STEP
    width = min(width, getattr(decoder, "longest", None) or width)
    batch = np.full((len(rows), width), pad_id, "int32")
    for line, row in zip(batch, rows, strict=True):
        line[: len(row)] = row
    return batch
