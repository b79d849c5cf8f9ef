"""Batches of token ids from shards, which need not fit into memory."""

from collections.abc import Iterator
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from rdrop_tf.data import EpochData, Shards, Share
from rdrop_tf.text.batch_plan import PlannedBatch, plan_batches
from rdrop_tf.text.batches import Fill
from rdrop_tf.text.buckets import BUCKETS, Bucket, choose_buckets
from rdrop_tf.text.fitting_model import check_lengths_of
from rdrop_tf.text.special_ids import END_ID, PAD_ID, START_ID

# Shapes are chosen for the lengths of so many pairs, and of the longest.
_PAIRS_LOOKED_AT = 200_000


class ShardTokenBatches(EpochData):
    """Batches as of `TokenBatches`, of pairs in shards.

    Each file's pairs are planned by themselves, so that one file's lengths are in memory at a time;
    the order of the files, and the pairs and the order of a file's batches follow from
    (seed, epoch). How many batches there are depends on the lengths only.

    Args:
        shards: Rows with the columns `source` and `target`, token ids without start and end.
        tokens: Source and target tokens of a batch are at most so many each, with padding.
        buckets: The most shapes of batches.
        seed: Of all epochs' orders.

    Raises:
        ValueError: If a pair is longer than `tokens` (with its end).
    """

    def __init__(
        self, shards: Shards, *, tokens: int, buckets: int = BUCKETS, seed: int = 0
    ) -> None:
        self._shards, self._tokens, self._seed = shards, tokens, seed
        self._columns = [shards.measured.index(name) for name in ("source", "target")]
        self.buckets = self._choose(buckets)
        self._batches, self._fill = self._counted()

    def facts(self) -> dict[str, Any]:
        """Returns what the batches follow from."""
        places = np.unique(np.linspace(0, len(self._shards) - 1, 32).astype(np.int64))
        return {
            "tokens": self._tokens,
            "buckets": [list(bucket) for bucket in self.buckets],
            "seed": self._seed,
            "rows": len(self._shards),
            "some rows": crc32(b"".join(self._shards.records.read(places))),
            "batches of each file": list(self._batches),
        }

    @property
    def _files(self) -> list[Any]:
        return self._shards.records.paths

    def batches(self, epoch: int) -> int:
        """Returns how many batches an epoch has: each has as many."""
        return sum(self._batches)

    def fill(self, epoch: int) -> Fill:
        """Returns how well the batches are filled: in each epoch as well."""
        return self._fill

    def check_model(self, model: Any) -> None:
        """Raises unless a model has positions for all tokens."""
        check_lengths_of(model, self.buckets)

    def rest(self, epoch: int, batch: int = 0) -> Any:
        """Returns the batches of an epoch from number `batch` on, as a `tf.data.Dataset`."""
        return self._made(epoch, batch, None)

    def shared(self, epoch: int, batch: int, share: Share) -> Any:
        """Returns the rows of one worker's replicas, batch by batch."""
        return self._made(epoch, batch, share)

    def _made(self, epoch: int, batch: int, share: Share | None) -> Any:
        import tensorflow as tf

        count = (self.batches(epoch) - batch) * (1 if share is None else share.count)
        planned = tf.data.Dataset.from_generator(
            lambda: self._parts(epoch, batch, share),
            output_signature=(tf.TensorSpec([None], tf.int64), tf.TensorSpec([3], tf.int64)),
        )
        make = tf.autograph.experimental.do_not_convert(self._make)
        return (
            planned.map(make, num_parallel_calls=tf.data.AUTOTUNE)
            .apply(tf.data.experimental.assert_cardinality(count))
            .prefetch(tf.data.AUTOTUNE)
        )

    def _parts(self, epoch: int, batch: int, share: Share | None) -> Iterator[Any]:
        """Yields the pairs and the shape of each batch, or of each replica's rows of it."""
        for planned, first in self._planned(epoch, batch):
            numbers = planned.indices + first
            lengths = (planned.source_length, planned.target_length)
            if share is None:
                yield numbers, np.array([planned.rows, *lengths])
                continue
            for replica in range(share.first, share.first + share.count):
                begin, end = share.rows(planned.rows, replica)
                yield numbers[begin:end], np.array([end - begin, *lengths])

    def _planned(self, epoch: int, batch: int) -> Iterator[tuple[PlannedBatch, int]]:
        """Yields batches with the number of their file's first pair."""
        for shard in np.random.default_rng([self._seed, epoch]).permutation(len(self._files)):
            skipped = min(batch, self._batches[shard])
            batch -= skipped
            if skipped < self._batches[shard]:
                first = int(self._shards.records.firsts[shard])
                for planned in self._plan(int(shard), epoch)[skipped:]:
                    yield planned, first

    def _make(self, numbers: Any, shape: Any) -> Any:
        import tensorflow as tf

        columns = self._shards.read(numbers)
        source, target = (
            tf.RaggedTensor.from_tensor(tf.cast(columns[name], tf.int32), padding=PAD_ID)
            for name in ("source", "target")
        )

        def edge(token: int) -> Any:
            return tf.fill([tf.size(numbers), 1], token)

        labels = _padded(tf.concat([target, edge(END_ID)], axis=1), shape[0], shape[2])
        inputs = {
            "source": _padded(tf.concat([source, edge(END_ID)], axis=1), shape[0], shape[1]),
            "target": _padded(tf.concat([edge(START_ID), target], axis=1), shape[0], shape[2]),
        }
        return inputs, labels, tf.cast(labels != PAD_ID, tf.float32)

    def _lengths(self, shard: int) -> NDArray[np.int64]:
        """Returns the lengths of a file's pairs, (2, pairs), with the one id that is added."""
        lengths = self._shards.lengths(shard)[:, self._columns]
        return lengths.T.astype(np.int64) + 1

    def _plan(self, shard: int, epoch: int) -> list[PlannedBatch]:
        own = np.random.SeedSequence([self._seed, shard]).generate_state(1)[0]
        return plan_batches(
            *self._lengths(shard),
            tokens=self._tokens,
            buckets=self.buckets,
            seed=int(own),
            epoch=epoch,
        )

    def _choose(self, number: int) -> tuple[Bucket, ...]:
        looked_at, longest, pairs = [], np.ones(2, np.int64), 0
        for shard in range(len(self._files)):
            lengths = self._lengths(shard)
            longest = np.maximum(longest, lengths.max(axis=1))
            if pairs < _PAIRS_LOOKED_AT:
                looked_at.append(lengths)
                pairs += lengths.shape[1]
        lengths = np.concatenate([*looked_at, longest[:, None]], axis=1)
        return choose_buckets(*lengths, tokens=self._tokens, buckets=number)

    def _counted(self) -> tuple[list[int], Fill]:
        """Counts each file's batches, and what they are filled with."""
        batches, tokens, padded = [], np.zeros(2, np.int64), 0
        for shard in range(len(self._files)):
            plan = self._plan(shard, epoch=0)
            batches.append(len(plan))
            tokens += self._lengths(shard).sum(axis=1)
            padded += sum(b.rows * (b.source_length + b.target_length) for b in plan)
        return batches, Fill(int(tokens[1]), 1 - float(tokens.sum()) / padded)


def _padded(rows: Any, count: Any, length: Any) -> Any:
    """Pads ragged rows to a matrix, with rows of padding alone where there are fewer."""
    import tensorflow as tf

    matrix = rows.to_tensor(PAD_ID)
    missing = tf.stack([count, length]) - tf.shape(matrix, tf.int64)
    return tf.pad(matrix, tf.stack([tf.zeros(2, tf.int64), missing], axis=1))
