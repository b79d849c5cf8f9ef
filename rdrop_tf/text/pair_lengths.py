"""Which pairs of tokenized texts are fit to train on."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rdrop_tf.text.reading_report import ReadingReport


def select_pairs(
    source: Sequence[Sequence[int]],
    target: Sequence[Sequence[int]],
    *,
    max_tokens: int | None = None,
    max_ratio: float | None = None,
    place: Callable[[int], str] = "pair:{}".format,
) -> tuple[NDArray[np.int64], ReadingReport]:
    """Finds the pairs that are neither too long nor too unlike in length.

    Args:
        source: Token ids of the texts.
        target: Token ids of their translations.
        max_tokens: Tokens of the longest text that is kept; None for any.
        max_ratio: The longer side may have at most so many times the tokens of the shorter
            one; None for any. The Moses and fairseq recipes take 1.5.
        place: Says where the pair of a number stands, such as `ParallelText.place`.

    Returns:
        The numbers of the pairs to keep, ascending, and a report of the others.

    Raises:
        ValueError: If the sides have different numbers of texts, or a limit is below 1.

    Example:
    >>> kept, report = select_pairs([[5, 6], [5] * 9], [[7, 8], [7]], max_ratio=1.5)
    >>> kept
    array([0])
    >>> print(report)
    2 pairs measured, 1 pairs kept; 1 of unlike length (pair:1)
    """
    if len(source) != len(target):
        raise ValueError(
            f"both sides must have equally many texts; got {len(source)} and {len(target)}"
        )
    for name, limit in (("max_tokens", max_tokens), ("max_ratio", max_ratio)):
        if limit is not None and not limit >= 1:
            raise ValueError(f"`{name}` must be at least 1 or None. Received: {name}={limit!r}")
    lengths = np.array([[len(row) for row in side] for side in (source, target)], dtype=np.int64)
    longer, shorter = lengths.max(axis=0), lengths.min(axis=0)
    report = ReadingReport(lines=len(source), what="pairs measured")
    too_long = longer > (np.inf if max_tokens is None else max_tokens)
    unlike = longer > (np.inf if max_ratio is None else max_ratio * shorter)
    for number in np.flatnonzero(too_long | unlike):
        fault = f"longer than {max_tokens} tokens" if too_long[number] else "of unlike length"
        report.add(fault, place(int(number)))
    kept = np.flatnonzero(~(too_long | unlike))
    report.kept = len(kept)
    return kept, report
