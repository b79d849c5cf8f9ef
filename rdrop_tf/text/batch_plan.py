"""Which pairs form which batch of an epoch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdrop_tf.text.buckets import (
    BUCKETS,
    Bucket,
    Lengths,
    assign,
    check_lengths,
    choose_buckets,
    hand_on,
)


class PlannedBatch(NamedTuple):
    """A batch of a plan.

    Attributes:
        indices: Numbers of its pairs; fewer than `rows` in a last batch of a bucket.
        source_length: Tokens its sources are padded to.
        target_length: Tokens its targets are padded to.
        rows: Rows it is filled up to.
    """

    indices: NDArray[np.int64]
    source_length: int
    target_length: int
    rows: int


def plan_batches(
    source_lengths: ArrayLike,
    target_lengths: ArrayLike,
    *,
    tokens: int,
    buckets: int | Sequence[Bucket] = BUCKETS,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = True,
) -> list[PlannedBatch]:
    """Puts pairs of like length into batches of few shapes.

    Every pair is in one batch. The order is a function of the arguments alone: with `shuffle`
    the pairs of a batch and the order of the batches are drawn from (seed, epoch). How many
    batches of each shape there are depends on the lengths only.

    Args:
        source_lengths: Tokens of each source, (pairs,), with what the model adds to it.
        target_lengths: Tokens of each target.
        tokens: Source and target tokens of a batch are at most so many each, with padding.
        buckets: The most shapes of batches, or the shapes.
        seed: Of all epochs' orders.
        epoch: Number of the epoch.
        shuffle: Whether to draw the order; otherwise short pairs come first.

    Returns:
        The batches. Where shapes differ the first two batches do, in both lengths if any two
        do: Keras tells from them which axes of a `tf.data` pipeline vary.

    Raises:
        ValueError: If there is no pair, a pair is longer than `tokens` or than the largest of
            given buckets, or a number is below 1.

    Example:
    >>> plan = plan_batches([3, 9, 3, 4], [3, 8, 4, 4], tokens=12, buckets=2, shuffle=False)
    >>> [(batch.indices.tolist(), batch.source_length, batch.rows) for batch in plan]
    [([0, 2, 3], 4, 3), ([1], 9, 1)]
    """
    lengths = check_lengths(source_lengths, target_lengths, tokens)
    if isinstance(buckets, int):
        buckets = choose_buckets(*lengths, tokens=tokens, buckets=buckets)
    else:
        buckets = _checked(buckets, lengths, tokens)
    generator = np.random.default_rng([seed, epoch]) if shuffle else None
    plan = _cut(_members(lengths, buckets, generator), buckets)
    if generator is not None:
        plan = [plan[place] for place in generator.permutation(len(plan))]
    return _unlike_first(plan)


def padding_share(
    plan: Sequence[PlannedBatch], source_lengths: ArrayLike, target_lengths: ArrayLike
) -> float:
    """Returns the share of a plan's source and target tokens that are padding.

    Args:
        plan: Batches of `plan_batches`.
        source_lengths: Tokens of each source.
        target_lengths: Tokens of each target.

    Returns:
        A share between 0 and 1; rows that fill up a batch count as padding.

    Example:
    >>> plan = plan_batches([3, 3], [2, 3], tokens=12)
    >>> round(padding_share(plan, [3, 3], [2, 3]), 3)
    0.083
    """
    both = np.asarray(source_lengths) + np.asarray(target_lengths)
    tokens = sum(int(both[batch.indices].sum()) for batch in plan)
    padded = sum(batch.rows * (batch.source_length + batch.target_length) for batch in plan)
    return 1 - tokens / padded


def _members(
    lengths: Lengths, buckets: Sequence[Bucket], generator: np.random.Generator | None
) -> list[NDArray[np.int64]]:
    """Returns the pairs of each bucket, those included that a smaller one has handed on."""
    number = lengths.shape[1]
    order = np.arange(number) if generator is None else generator.permutation(number)
    home = assign(lengths, buckets)[order]
    members = [order[home == n] for n in range(len(buckets))]
    counts = np.array([len(own) for own in members])
    for n, (rows, receiver) in enumerate(hand_on(counts, buckets)):
        if rows:
            members[n], leaving = members[n][:-rows], members[n][-rows:]
            members[receiver] = np.concatenate([members[receiver], leaving])
    if generator is not None:  # so that it is not always those handed on that are handed on
        return [generator.permutation(own) for own in members]
    return members


def _cut(members: Sequence[NDArray[np.int64]], buckets: Sequence[Bucket]) -> list[PlannedBatch]:
    return [
        PlannedBatch(own[start : start + bucket.rows], *bucket)
        for own, bucket in zip(members, buckets, strict=True)
        for start in range(0, len(own), bucket.rows)
    ]


def _unlike_first(plan: list[PlannedBatch]) -> list[PlannedBatch]:
    """Moves a batch or two to the front, so that the first two have unlike shapes."""
    first_of: dict[tuple[int, int], int] = {}
    for place, batch in enumerate(plan):
        first_of.setdefault((batch.source_length, batch.target_length), place)
    pairs = [
        (-((a[0] != b[0]) + (a[1] != b[1])), i, j)
        for a, i in first_of.items()
        for b, j in first_of.items()
        if i < j
    ]
    if not pairs:
        return plan
    _, i, j = min(pairs)
    rest = [batch for place, batch in enumerate(plan) if place not in (i, j)]
    return [plan[i], plan[j], *rest]


def _checked(buckets: Sequence[Bucket], lengths: Lengths, tokens: int) -> tuple[Bucket, ...]:
    ordered = tuple(sorted(buckets, key=lambda b: (b.source_length + b.target_length, b)))
    for bucket in ordered:
        if bucket.rows < 1 or bucket.rows * max(bucket[:2]) > tokens:
            raise ValueError(
                f"a bucket must have at least one row and at most `tokens` tokens of each side. "
                f"Received: {bucket} with tokens={tokens}"
            )
    outside = np.flatnonzero(assign(lengths, ordered) < 0)
    if outside.size:
        source, target = lengths[:, outside[0]]
        raise ValueError(
            f"every pair must fit in a bucket; got pair {outside[0]} of {source} source and "
            f"{target} target tokens, and the largest is {ordered[-1] if ordered else None}"
        )
    return ordered
