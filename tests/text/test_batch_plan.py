from typing import Any

import numpy as np
import pytest

from rdrop_tf.text.batch_plan import PlannedBatch, padding_share, plan_batches
from rdrop_tf.text.buckets import BUCKETS, Bucket, choose_buckets
from tests.text.lengths import long_tailed

LENGTHS = long_tailed(3000, 0.2)


def as_lists(plan: list[PlannedBatch]) -> list[Any]:
    return [(batch.indices.tolist(), *batch[1:]) for batch in plan]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("pairs", [1, 2, 7, 3000])
@pytest.mark.parametrize("tokens", [250, 2000])
def test_every_pair_is_there_once_and_fits(shuffle: bool, pairs: int, tokens: int) -> None:
    lengths = LENGTHS[:, :pairs]
    plan = plan_batches(*lengths, tokens=tokens, buckets=8, shuffle=shuffle, epoch=2)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([batch.indices for batch in plan])), np.arange(pairs)
    )
    for batch in plan:
        assert 1 <= len(batch.indices) <= batch.rows
        assert lengths[0, batch.indices].max() <= batch.source_length
        assert lengths[1, batch.indices].max() <= batch.target_length
        assert batch.rows * max(batch.source_length, batch.target_length) <= tokens
    shapes = {batch[1:] for batch in plan}
    assert len(shapes) <= 8
    assert shapes <= set(choose_buckets(*lengths, tokens=tokens, buckets=8))
    partial = [batch[1:] for batch in plan if len(batch.indices) < batch.rows]
    assert len(partial) == len(set(partial))  # at most the last of each bucket


def test_order_is_a_function_of_seed_and_epoch() -> None:
    def plan(seed: int, epoch: int) -> list[Any]:
        return as_lists(plan_batches(*LENGTHS, tokens=1000, buckets=8, seed=seed, epoch=epoch))

    first = plan(1, 3)
    others = [plan(1, 2), plan(3, 1), plan(0, 0)]
    assert first == plan(1, 3)
    assert all(first != other for other in others)
    # Not only the batches' order but which pairs are together.
    assert {tuple(sorted(b[0])) for b in first}.isdisjoint(
        tuple(sorted(b[0])) for b in others[0] if len(b[0]) > 3
    )
    # The shapes and how many there are of each stay the same.
    assert sorted(b[1:] for b in first) == sorted(b[1:] for b in others[0])


def test_batches_of_all_lengths_come_mixed() -> None:
    plan = plan_batches(*LENGTHS, tokens=500, buckets=16)
    places = np.array([batch.source_length for batch in plan])
    order = np.corrcoef(np.arange(len(plan)), places)[0, 1]
    assert abs(order) < 0.2


def test_without_shuffling_pairs_keep_their_order() -> None:
    plan = plan_batches(*LENGTHS, tokens=1000, buckets=1, shuffle=False)
    np.testing.assert_array_equal(np.concatenate([b.indices for b in plan]), np.arange(3000))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_the_first_two_batches_show_which_axes_vary(shuffle: bool, seed: int) -> None:
    plan = plan_batches(*LENGTHS, tokens=2000, buckets=8, seed=seed, shuffle=shuffle)
    assert plan[0].source_length != plan[1].source_length
    assert plan[0].target_length != plan[1].target_length


def test_the_first_two_batches_where_one_axis_varies() -> None:
    lengths = [[3] * 40, [*[2] * 20, *[5] * 20]]
    plan = plan_batches(*lengths, tokens=10, seed=1, buckets=2)
    assert plan[0].target_length != plan[1].target_length


def test_padding_share_counts_tokens() -> None:
    plan = plan_batches(*LENGTHS, tokens=1000)
    cells = sum(b.rows * b.source_length + b.rows * b.target_length for b in plan)
    assert padding_share(plan, *LENGTHS) == pytest.approx(1 - LENGTHS.sum() / cells, abs=1e-12)
    one = [PlannedBatch(np.array([0, 1]), 4, 6, 4)]
    assert padding_share(one, [4, 2], [6, 4]) == pytest.approx(1 - 16 / 40)


@pytest.mark.parametrize(
    ("buckets", "spread", "most"), [(BUCKETS, 0.1, 0.07), (BUCKETS, 0.25, 0.10), (32, 0.1, 0.09)]
)
@pytest.mark.parametrize(("tokens", "seed"), [(2048, 0), (4096, 1)])
def test_little_padding_of_a_long_tail(
    tokens: int, seed: int, buckets: int, spread: float, most: float
) -> None:
    """Lengths from 1 to 250, of which the longest is ten times the median."""
    lengths = long_tailed(30000, spread, seed)
    assert lengths.max() > 10 * np.median(lengths)
    share = padding_share(plan_batches(*lengths, tokens=tokens, buckets=buckets), *lengths)
    assert share < most
    unsorted = 1 - lengths.sum() / (lengths.shape[1] * lengths.max(axis=1).sum())
    assert unsorted > 0.8


def test_given_buckets() -> None:
    buckets = [Bucket(9, 9, 2), Bucket(4, 4, 2)]
    plan = plan_batches([3, 9, 4], [4, 1, 2], tokens=20, buckets=buckets, shuffle=False)
    assert as_lists(plan) == [([0, 2], 4, 4, 2), ([1], 9, 9, 2)]
    with pytest.raises(ValueError, match="got pair 1 of 10 source and 1 target tokens, and the l"):
        plan_batches([3, 10], [4, 1], tokens=20, buckets=buckets)
    with pytest.raises(
        ValueError, match=r"at most `tokens` tokens of each side\. Received: Bucket"
    ):
        plan_batches([3], [4], tokens=17, buckets=buckets)


@pytest.mark.parametrize(
    ("lengths", "tokens", "text"),
    [
        (([], []), 8, "at least one pair of texts; got none"),
        (([3], [9]), 8, "a pair must not be longer than `tokens`; got pair 0 of 3 source and 9"),
        (([3], [9]), 0, "`tokens` must be at least 1. Received: tokens=0"),
    ],
)
def test_wrong_arguments_are_refused(lengths: Any, tokens: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        plan_batches(*lengths, tokens=tokens)
