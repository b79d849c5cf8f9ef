"""Batches from shards are those of the pairs in memory, file by file."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rdrop_tf.data import Shards, Share, write_shards
from rdrop_tf.data.facts import difference
from rdrop_tf.text import ShardTokenBatches, TokenBatches

PAIRS, TOKENS = 300, 200


def pairs() -> list[tuple[list[int], list[int]]]:
    generator = np.random.default_rng(0)
    lengths = 1 + generator.geometric(0.1, (PAIRS, 2)).clip(max=60)
    return [tuple(generator.integers(3, 99, n).tolist() for n in both) for both in lengths]


def shards(folder: Path, pairs_a_shard: int) -> Shards:
    rows = (
        {"source": np.array(source, np.int32), "target": np.array(target, np.int32)}
        for source, target in pairs()
    )
    write_shards(rows, folder, pairs_a_shard)
    return Shards(folder)


def batches(data: Any) -> list[Any]:
    read = list(data.as_numpy_iterator())
    assert len(read) == int(data.cardinality())
    return read


def as_pairs(read: list[Any]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Returns the pairs of batches, and checks all that is known of them."""
    found = []
    for inputs, labels, weights in read:
        assert labels.shape == weights.shape == inputs["target"].shape
        assert inputs["source"].size <= TOKENS
        assert labels.size <= TOKENS
        np.testing.assert_array_equal(weights, labels != 0)
        for source, shifted, label in zip(inputs["source"], inputs["target"], labels, strict=True):
            source, shifted, label = (np.trim_zeros(row, "b") for row in (source, shifted, label))
            if not len(label):
                assert not len(source)
                continue
            assert source[-1] == label[-1] == 2
            assert shifted[0] == 1
            np.testing.assert_array_equal(shifted[1:], label[:-1])
            found.append((tuple(source[:-1].tolist()), tuple(label[:-1].tolist())))
    return found


WANTED = sorted((tuple(source), tuple(target)) for source, target in pairs())


@pytest.mark.parametrize("pairs_a_shard", [70, 300])
def test_an_epoch_has_every_pair_once(tmp_path: Path, pairs_a_shard: int) -> None:
    data = ShardTokenBatches(shards(tmp_path, pairs_a_shard), tokens=TOKENS, buckets=4)
    orders = {}
    for epoch in (0, 1):
        read = batches(data.rest(epoch))
        assert len(read) == data.batches(epoch)
        orders[epoch] = as_pairs(read)
        assert sorted(orders[epoch]) == WANTED
        shapes = {(i["source"].shape, labels.shape) for i, labels, _ in read}
        assert len(shapes) <= 4
        assert as_pairs(batches(data.rest(epoch))) == orders[epoch]
    assert orders[0] != orders[1]


def test_one_file_has_as_many_batches_as_the_pairs_in_memory(tmp_path: Path) -> None:
    source, target = zip(*pairs(), strict=True)
    inside = TokenBatches(source, target, tokens=TOKENS, buckets=4)
    data = ShardTokenBatches(shards(tmp_path, PAIRS), tokens=TOKENS, buckets=4)
    assert data.buckets == inside.buckets
    assert data.batches(0) == len(inside)
    assert data.fill(0) == pytest.approx(inside.fill(0))


def test_an_epoch_is_begun_anywhere(tmp_path: Path) -> None:
    data = ShardTokenBatches(shards(tmp_path, 70), tokens=TOKENS, buckets=4)
    whole = batches(data.rest(3))
    for first in (1, 7, len(whole) - 1):
        rest = batches(data.rest(3, first))
        assert len(rest) == len(whole) - first
        for (inputs, labels, _), (wanted, labels_wanted, _) in zip(
            rest, whole[first:], strict=True
        ):
            np.testing.assert_array_equal(inputs["source"], wanted["source"])
            np.testing.assert_array_equal(labels, labels_wanted)


def test_padding_and_tokens_are_counted(tmp_path: Path) -> None:
    data = ShardTokenBatches(shards(tmp_path, 70), tokens=TOKENS, buckets=4)
    read = batches(data.rest(1))
    cells = sum(inputs["source"].size + labels.size for inputs, labels, _ in read)
    tokens = sum((inputs["source"] != 0).sum() + (labels != 0).sum() for inputs, labels, _ in read)
    fill = data.fill(1)
    assert fill.padding_share == pytest.approx(1 - tokens / cells, abs=1e-12)
    assert fill.target_tokens == sum((labels != 0).sum() for _, labels, _ in read)


@pytest.mark.parametrize(("workers", "count"), [(2, 1), (2, 2)])
def test_workers_share_each_batch(tmp_path: Path, workers: int, count: int) -> None:
    data = ShardTokenBatches(shards(tmp_path, 70), tokens=TOKENS, buckets=4)
    whole = batches(data.rest(0, 5))
    parts = [
        batches(data.shared(0, 5, Share(worker * count, count, workers * count)))
        for worker in range(workers)
    ]
    for number, (inputs, labels, _) in enumerate(whole):
        own = list(chain(*(part[number * count : (number + 1) * count] for part in parts)))
        np.testing.assert_array_equal(np.concatenate([o[1] for o in own]), labels)
        joined = np.concatenate([o[0]["source"] for o in own])
        np.testing.assert_array_equal(joined, inputs["source"])


def test_a_pair_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tokens"):
        ShardTokenBatches(shards(tmp_path, 70), tokens=20)


def test_facts_tell_other_pairs(tmp_path: Path) -> None:
    data = ShardTokenBatches(shards(tmp_path, 10), tokens=64)
    facts = data.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["rows"] == len(pairs())
    assert difference(facts, {**facts, "some rows": 0}) is not None
