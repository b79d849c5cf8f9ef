"""The few shapes that batches of pairs are padded to."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Lengths = NDArray[np.int64]
# Shapes of an epoch's batches at most, unless another number is asked for.
BUCKETS = 64
# Lengths of each side among which those of the shapes are chosen.
_LEVELS = 64
# How far a shape moves at a time, in levels, and how often all of them may.
_STEPS = 3
_SWEEPS = 8


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
    source_lengths: ArrayLike, target_lengths: ArrayLike, *, tokens: int, buckets: int = BUCKETS
) -> tuple[Bucket, ...]:
    """Chooses the shapes that leave least padding.

    Each pair is padded to the smallest of the shapes it fits in. The shapes are the k-median
    solution of a local search: the shape of the longest lengths, then one by one that which
    saves most, then each moved to a better one near it. Tried are 1, 2, 4, … and `buckets` shapes;
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
    numbers = [2**power for power in range(buckets.bit_length()) if 2**power < buckets]
    tried = _Problem(lengths).solve([*numbers, buckets], tokens)
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
        raise too_long(f"pair {number}", lengths[:, number], tokens)
    return lengths


def too_long(place: str, lengths: Lengths, tokens: int) -> ValueError:
    """Returns the error of a pair that fits in no batch.

    Args:
        place: Where the pair stands.
        lengths: Tokens of its source and of its target.
        tokens: The most tokens of a batch.
    """
    return ValueError(
        f"a pair must not be longer than `tokens`; got {place} of {lengths[0]} source and "
        f"{lengths[1]} target tokens with tokens={tokens}: raise it or leave long pairs out"
    )


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

    Pairs count by the cell of the grid of levels they lie in, and take the tokens of the smallest
    shape that holds their cell.
    """

    def __init__(self, lengths: Lengths) -> None:
        self._pairs = lengths.shape[1]
        self._levels = [_levels(side) for side in lengths]
        cells = [np.searchsorted(*both) for both in zip(self._levels, lengths, strict=True)]
        counts = np.zeros([len(side) for side in self._levels], dtype=np.int64)
        np.add.at(counts, tuple(cells), 1)
        self._cells = np.stack(np.nonzero(counts))
        self._weights = counts[tuple(self._cells)]
        # Tokens of each shape, and what each saves beside the largest alone.
        self._sizes = np.add.outer(*self._levels)
        self._first_savings = counts.cumsum(0).cumsum(1) * (self._sizes[-1, -1] - self._sizes)

    def solve(self, numbers: Sequence[int], tokens: int) -> list[tuple[Bucket, ...]]:
        """Chooses so many shapes, for each of some ascending numbers."""
        chosen = [np.array(self._sizes.shape) - 1]
        bounds, found = self._first_savings.copy(), []
        for number in numbers:
            while len(chosen) < number:
                chosen.append(self._next(chosen, bounds))
            found.append(self._as_buckets(self._improved(chosen), tokens))
        return found

    def _next(self, chosen: Sequence[Lengths], bounds: Lengths) -> Lengths:
        """Finds the shape that saves most beside those chosen.

        What a shape saves only falls when others are chosen, so what it saved when it was looked
        at last bounds it; a shape is looked at again only while its bound is the highest.
        """
        taken = np.min([self._tokens(shape) for shape in chosen], axis=0)
        looked_at = np.zeros(bounds.shape, dtype=bool)
        while True:
            best = np.unravel_index(bounds.argmax(), bounds.shape)
            if looked_at[best]:
                return np.array(best)
            bounds[best] = self._saved(np.array(best)[:, None], taken)[0]
            looked_at[best] = True

    def _improved(self, chosen: Sequence[Lengths]) -> list[Lengths]:
        """Exchanges each shape but the largest for the best one near it, until all stay."""
        shapes = list(chosen)
        costs = np.array([self._tokens(shape) for shape in shapes])
        for _ in range(_SWEEPS):
            before = costs.copy()
            for place in range(1, len(shapes)):
                others = np.delete(costs, place, axis=0).min(axis=0)
                near = self._near(shapes[place])
                shapes[place] = near[:, self._saved(near, others).argmax()]
                costs[place] = self._tokens(shapes[place])
            if np.array_equal(costs, before):
                break
        return shapes

    def _near(self, shape: Lengths) -> Lengths:
        """Returns the shapes a few levels around one, (2, n)."""
        sides = [
            np.arange(max(0, level - _STEPS), min(count, level + _STEPS + 1))
            for level, count in zip(shape, self._sizes.shape, strict=True)
        ]
        return np.stack([axis.ravel() for axis in np.meshgrid(*sides, indexing="ij")])

    def _saved(self, shapes: Lengths, taken: Lengths) -> Lengths:
        """Returns what each of the shapes, (2, n), saves of the tokens that each cell takes."""
        fits = np.all(self._cells[:, None] <= shapes[:, :, None], axis=0)
        saved = np.maximum(taken - self._sizes[tuple(shapes)][:, None], 0)
        return np.where(fits, saved, 0) @ self._weights

    def _tokens(self, shape: Lengths) -> Lengths:
        """Returns the tokens that a pair of each cell takes in a shape, more than any in none."""
        fits = np.all(self._cells <= shape[:, None], axis=0)
        return np.where(fits, self._sizes[tuple(shape)], self._sizes[-1, -1] + 1)

    def _as_buckets(self, shapes: Sequence[Lengths], tokens: int) -> tuple[Bucket, ...]:
        sources, targets = self._levels
        lengths = {(int(sources[s]), int(targets[t])) for s, t in shapes}
        return tuple(
            Bucket(s, t, min(tokens // max(s, t), self._pairs))
            for s, t in sorted(lengths, key=lambda shape: (sum(shape), shape))
        )


def _levels(lengths: Lengths) -> Lengths:
    """Takes all lengths, or of many half by their frequency and half by their ratio."""
    values = np.unique(lengths)
    if len(values) <= _LEVELS:
        return values
    frequent = np.quantile(lengths, np.arange(1, _LEVELS // 2 + 1) * 2 / _LEVELS, method="higher")
    even = np.geomspace(max(values[0], 1), values[-1], _LEVELS // 2).round(6)
    places = np.searchsorted(values, np.concatenate([frequent, even]))
    return values[np.unique(places.clip(max=len(values) - 1))]
