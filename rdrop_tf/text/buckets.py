"""The few shapes that batches of pairs are padded to."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Lengths = NDArray[np.int64]
# Lengths of each side among which those of the shapes are chosen.
_LEVELS = 40
_SWEEPS = 4


class Bucket(NamedTuple):
    """The one shape of a kind of batches.

    Attributes:
        source_length: Tokens of a source row.
        target_length: Tokens of a target row.
        rows: Rows of a batch.
    """

    source_length: int
    target_length: int
    rows: int


def choose_buckets(
    source_lengths: ArrayLike, target_lengths: ArrayLike, *, tokens: int, buckets: int = 16
) -> tuple[Bucket, ...]:
    """Chooses the shapes that leave least padding.

    Each pair is padded to the smallest of the shapes it fits in. The shapes are the k-median
    solution of a local search: the shape of the longest lengths, then one by one that which
    saves most, then each exchanged for a better one. Tried are 1, 2, 4, … and `buckets` shapes;
    taken are those with the fewest padded tokens, with the rows that fill up last batches.

    Args:
        source_lengths: Tokens of each source, (pairs,), with what the model adds to it.
        target_lengths: Tokens of each target.
        tokens: Source and target tokens of a batch are at most so many each, with padding.
        buckets: The most shapes; each may cost a compilation.

    Returns:
        The shapes by size, source_length + target_length. The last fits every pair.

    Raises:
        ValueError: If there is no pair, a pair has more than `tokens` tokens, or a number is
            below 1.

    Example:
    >>> choose_buckets([3, 3, 4, 9], [3, 4, 4, 8], tokens=12, buckets=2)
    (Bucket(source_length=4, target_length=4, rows=3), Bucket(source_length=9, ...rows=1))
    """
    lengths = check_lengths(source_lengths, target_lengths, tokens)
    if not isinstance(buckets, int) or buckets < 1:
        raise ValueError(f"`buckets` must be a whole number >= 1. Received: buckets={buckets!r}")
    problem = _Problem(lengths)
    numbers = [2**power for power in range(buckets.bit_length()) if 2**power < buckets]
    tried = [problem.solve(number, tokens) for number in [*numbers, buckets]]
    return min(tried, key=lambda shapes: _padded_tokens(lengths, shapes))


def check_lengths(source_lengths: ArrayLike, target_lengths: ArrayLike, tokens: int) -> Lengths:
    """Checks that pairs can be put into batches.

    Args:
        source_lengths: Tokens of each source.
        target_lengths: Tokens of each target.
        tokens: The most tokens of a batch.

    Returns:
        Both lengths, (2, pairs).

    Raises:
        ValueError: If they cannot.

    Example:
    >>> check_lengths([3, 2], [1, 4], tokens=8).shape
    (2, 2)
    """
    if tokens < 1:
        raise ValueError(f"`tokens` must be at least 1. Received: tokens={tokens!r}")
    sides = [np.asarray(side, dtype=np.int64) for side in (source_lengths, target_lengths)]
    if sides[0].shape != sides[1].shape or sides[0].ndim != 1:
        raise ValueError(
            "both sides must have one length a pair. Received: shapes "
            f"{sides[0].shape} and {sides[1].shape}"
        )
    lengths = np.stack(sides)
    if not lengths.size:
        raise ValueError("batches need at least one pair of texts; got none")
    if lengths.max() > tokens:
        number = int(lengths.max(axis=0).argmax())
        raise ValueError(
            f"a pair must not be longer than `tokens`; got pair {number} of {lengths[0, number]} "
            f"source and {lengths[1, number]} target tokens with tokens={tokens}: raise it or "
            "leave long pairs out"
        )
    return lengths


def assign(lengths: Lengths, buckets: Sequence[Bucket]) -> Lengths:
    """Finds the smallest shape that each pair fits in.

    Args:
        lengths: (2, pairs).
        buckets: The shapes by size.

    Returns:
        The number of each pair's bucket, -1 where none is large enough.

    Example:
    >>> assign(np.array([[3, 5, 9], [3, 1, 1]]), [Bucket(4, 4, 2), Bucket(8, 8, 1)])
    array([ 0,  1, -1])
    """
    found = np.full(lengths.shape[1], -1)
    for number, bucket in reversed(list(enumerate(buckets))):
        found[(lengths[0] <= bucket.source_length) & (lengths[1] <= bucket.target_length)] = number
    return found


def hand_on(counts: Lengths, buckets: Sequence[Bucket]) -> list[tuple[int, int]]:
    """Decides where the rows go that fill no whole batch of their bucket.

    They go on to the next larger bucket where that takes less padding than a batch filled up
    with empty rows.

    Args:
        counts: Number of pairs of each bucket.
        buckets: The shapes by size.

    Returns:
        For each bucket how many pairs leave it, of its own and those it has been handed, and
        the bucket they go to.

    Example:
    >>> hand_on(np.array([7, 3]), [Bucket(4, 4, 6), Bucket(5, 5, 4)])
    [(1, 1), (0, 1)]
    """
    counts = counts.copy()
    moves = []
    for number, bucket in enumerate(buckets):
        rest = int(counts[number] % bucket.rows)
        larger = [n for n in range(number + 1, len(buckets)) if _holds(buckets[n], bucket)]
        move = (0, number)
        if rest and larger:
            growth = _size(buckets[larger[0]]) - _size(bucket)
            if rest * growth < (bucket.rows - rest) * _size(bucket):
                move = (rest, larger[0])
        counts[number] -= move[0]
        counts[move[1]] += move[0]
        moves.append(move)
    return moves


def _padded_tokens(lengths: Lengths, buckets: Sequence[Bucket]) -> int:
    counts = np.bincount(assign(lengths, buckets), minlength=len(buckets))
    for number, (rows, receiver) in enumerate(hand_on(counts, buckets)):
        counts[number] -= rows
        counts[receiver] += rows
    return sum(
        -(-int(count) // bucket.rows) * bucket.rows * _size(bucket)
        for count, bucket in zip(counts, buckets, strict=True)
    )


def _holds(outer: Bucket, inner: Bucket) -> bool:
    return outer.source_length >= inner.source_length and outer.target_length >= inner.target_length


def _size(bucket: Bucket) -> int:
    return bucket.source_length + bucket.target_length


class _Problem:
    """The choice of shapes among pairs of levels.

    Pairs count by the cell of the grid of levels they lie in.
    """

    def __init__(self, lengths: Lengths) -> None:
        self._pairs = lengths.shape[1]
        levels = [_levels(side) for side in lengths]
        cells = [np.searchsorted(*both) for both in zip(levels, lengths, strict=True)]
        counts = np.zeros([len(side) for side in levels])
        np.add.at(counts, tuple(cells), 1)
        self._shapes = np.stack([axis.ravel() for axis in np.meshgrid(*levels, indexing="ij")])
        occupied = np.flatnonzero(counts.ravel())
        self._weights = counts.ravel()[occupied]
        fits = np.all(self._shapes[:, :, None] >= self._shapes[:, None, occupied], axis=0)
        # Tokens that a pair of a cell (column) takes in a shape (row).
        self._costs = np.where(fits, self._shapes.sum(axis=0)[:, None], np.inf)

    def solve(self, number: int, tokens: int) -> tuple[Bucket, ...]:
        """Chooses so many shapes."""
        chosen = [self._shapes.shape[1] - 1]
        while len(chosen) < number:
            chosen.append(self._best_with(chosen))
        for _ in range(_SWEEPS):
            before = list(chosen)
            for place in range(1, number):
                chosen[place] = self._best_with(chosen[:place] + chosen[place + 1 :])
            if chosen == before:
                break
        shapes = {(int(s), int(t)) for s, t in self._shapes[:, chosen].T}
        return tuple(
            Bucket(s, t, min(tokens // max(s, t), self._pairs))
            for s, t in sorted(shapes, key=lambda shape: (sum(shape), shape))
        )

    def _best_with(self, others: list[int]) -> int:
        current = self._costs[others].min(axis=0)
        return int((np.minimum(self._costs, current) @ self._weights).argmin())


def _levels(lengths: Lengths) -> Lengths:
    """Takes all lengths, or of many half by their frequency and half by their ratio."""
    values = np.unique(lengths)
    if len(values) <= _LEVELS:
        return values
    frequent = np.quantile(lengths, np.arange(1, _LEVELS // 2 + 1) * 2 / _LEVELS, method="higher")
    even = np.geomspace(max(values[0], 1), values[-1], _LEVELS // 2).round(6)
    places = np.searchsorted(values, np.concatenate([frequent, even]))
    return values[np.unique(places.clip(max=len(values) - 1))]
