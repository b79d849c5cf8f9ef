from itertools import combinations
from typing import Any

import numpy as np
import pytest

from rdrop_tf.text.buckets import Bucket, assign, choose_buckets, hand_on
from tests.text.lengths import long_tailed


def padded(lengths: np.ndarray, shapes: list[tuple[int, int]]) -> float:
    """Tokens of all pairs in their cheapest shape, whole rows, no batches."""
    total = 0
    for s, t in lengths.T:
        total += min((a + b for a, b in shapes if s <= a and t <= b), default=np.inf)
    return total


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("number", [2, 3])
def test_near_the_best_of_all_choices(seed: int, number: int) -> None:
    lengths = np.random.default_rng(seed).integers(1, 7, (2, 400))
    lengths[1] = (lengths[0] + lengths[1]) // 2 + 1
    found = choose_buckets(*lengths, tokens=8, buckets=number)
    largest = (int(lengths[0].max()), int(lengths[1].max()))
    grid = [(s, t) for s in range(1, 7) for t in range(1, 8)]
    best = min(padded(lengths, [*shapes, largest]) for shapes in combinations(grid, number - 1))
    # A local search: equal to the best in most draws, and never far from it.
    assert padded(lengths, [b[:2] for b in found]) <= 1.01 * best
    assert len(found) == number


def test_shapes_hold_every_pair_and_no_more_than_the_tokens() -> None:
    lengths = long_tailed(2000, 0.2)
    buckets = choose_buckets(*lengths, tokens=1000, buckets=12)
    assert 2 <= len(buckets) <= 12
    assert min(assign(lengths, buckets)) == 0
    assert buckets[-1][:2] == tuple(lengths.max(axis=1))
    for source, target, rows in buckets:
        assert rows == 1000 // max(source, target)
    assert list(buckets) == sorted(buckets, key=lambda b: b.source_length + b.target_length)


def test_no_more_rows_than_pairs() -> None:
    assert choose_buckets([3, 4], [4, 4], tokens=4096) == (Bucket(4, 4, 2),)


def test_one_bucket() -> None:
    lengths = long_tailed(100, 0.2)
    assert len(choose_buckets(*lengths, tokens=500, buckets=1)) == 1


def test_assignment_is_to_the_smallest_that_fits() -> None:
    buckets = choose_buckets(*long_tailed(2000, 0.2), tokens=1000, buckets=12)
    lengths = long_tailed(500, 0.3, seed=1)
    for (s, t), found in zip(lengths.T, assign(lengths, buckets), strict=True):
        fitting = [b for b in buckets if s <= b.source_length and t <= b.target_length]
        if found < 0:
            assert not fitting
        else:
            assert sum(buckets[found][:2]) == min(sum(b[:2]) for b in fitting)


def test_rows_are_handed_on_where_that_takes_less() -> None:
    small, wide, large = Bucket(4, 4, 6), Bucket(9, 3, 5), Bucket(5, 8, 4)
    # 5 of 6 rows: handed on they take 5 x 5 more tokens, filled up 1 x 8.
    assert hand_on(np.array([5, 0, 0]), [small, wide, large])[0] == (0, 0)
    # 1 of 6 rows: 1 x 5 against 5 x 8. Not to `wide`, where they do not fit.
    assert hand_on(np.array([7, 0, 0]), [small, wide, large])[0] == (1, 2)
    # Nothing is larger than the last.
    assert hand_on(np.array([0, 1, 1]), [small, wide, large])[1:] == [(0, 1), (0, 2)]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"tokens": 0}, "`tokens` must be at least 1. Received: tokens=0"),
        ({"buckets": 0}, "`buckets` must be a whole number >= 1. Received: buckets=0"),
        ({"source_lengths": [], "target_lengths": []}, "at least one pair of texts; got none"),
        ({"source_lengths": [3]}, r"one length a pair. Received: shapes \(1,\) and \(2,\)"),
        ({"target_lengths": [3, 9]}, "got pair 1 of 4 source and 9 target tokens with tokens=8"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], text: str) -> None:
    right = {"source_lengths": [3, 4], "target_lengths": [3, 4], "tokens": 8}
    with pytest.raises(ValueError, match=text):
        choose_buckets(**{**right, **arguments})
