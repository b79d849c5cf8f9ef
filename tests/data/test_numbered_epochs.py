"""Rows by number: every row once an epoch, from anywhere, and none read in vain."""

import resource
from itertools import chain
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from rdrop_tf import RDropModel
from rdrop_tf.data import NumberedEpochs, Shards, Share, SimilarSizes, write_shards
from rdrop_tf.data.facts import difference

pytestmark = pytest.mark.one_backend

ROWS = 23


class Noted:
    """Rows that tell their number, and a list of those that were read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __call__(self, numbers: Any) -> Any:
        def note(wanted: Any) -> Any:
            self.read += wanted.tolist()
            return wanted

        read = tf.ensure_shape(tf.numpy_function(note, [numbers], tf.int64), [None])
        return read, 10 * read


def batches(data: Any) -> list[list[int]]:
    read = list(data.as_numpy_iterator())
    assert len(read) == int(data.cardinality())
    for x, y in read:
        np.testing.assert_array_equal(y, 10 * x)
    return [x.tolist() for x, _ in read]


def test_an_epoch_has_all_rows_in_an_order_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        return batches(NumberedEpochs(ROWS, Noted(), 8, seed).rest(epoch))

    orders = {(seed, epoch): order(seed, epoch) for seed in (3, 4) for epoch in (0, 1)}
    for key, one in orders.items():
        assert one == order(*key)
        assert [len(batch) for batch in one] == [8, 8, 7]
        assert sorted(chain(*one)) == list(range(ROWS)) != list(chain(*one))
    assert len({str(one) for one in orders.values()}) == 4


def test_without_shuffling_rows_stay_in_order() -> None:
    data = NumberedEpochs(ROWS, Noted(), 10, shuffle=False)
    assert list(chain(*batches(data.rest(5)))) == list(range(ROWS))


def test_all_rows_may_be_neighbours() -> None:
    """The order is as good as a drawn one: neighbours' distances are those of chance."""
    (order,) = batches(NumberedEpochs(5000, Noted(), 5000).rest(0))
    steps = np.abs(np.diff(order))
    assert np.mean(steps) == pytest.approx(5000 / 3, rel=0.03)
    assert abs(np.corrcoef(order, np.arange(5000))[0, 1]) < 0.05


SIMILAR = SimilarSizes(lambda numbers: numbers * 7 % 10)


@pytest.mark.parametrize("similar", [None, SIMILAR])
def test_an_epoch_is_begun_anywhere_without_reading_what_came_before(similar: Any) -> None:
    read = Noted()
    data = NumberedEpochs(ROWS, read, 4, similar=similar)
    whole = batches(data.rest(2))
    for first in range(6):
        read.read.clear()
        assert batches(data.rest(2, first)) == whole[first:]
        assert sorted(read.read) == sorted(chain(*whole[first:]))


@pytest.mark.parametrize("similar", [None, SIMILAR])
@pytest.mark.parametrize(("workers", "count"), [(2, 1), (3, 2), (1, 4)])
def test_each_worker_reads_its_own_rows(similar: Any, workers: int, count: int) -> None:
    whole = batches(NumberedEpochs(ROWS, Noted(), 5, similar=similar).rest(1, 2))
    parts = []
    for worker in range(workers):
        read = Noted()
        data = NumberedEpochs(ROWS, read, 5, similar=similar)
        own = batches(data.shared(1, 2, Share(worker * count, count, workers * count)))
        assert sorted(read.read) == sorted(chain(*own))
        parts.append(own)
    assert [len(own) for own in parts] == [len(whole) * count] * workers
    for batch, rows in enumerate(whole):
        turns = slice(batch * count, (batch + 1) * count)
        assert list(chain(*(chain(*own[turns]) for own in parts))) == rows


def test_rows_of_similar_size_are_together() -> None:
    sizes = np.random.default_rng(0).integers(1, 100, 1000)
    data = NumberedEpochs(1000, Noted(), 10, similar=SimilarSizes(lambda rows: sizes[rows]))
    drawn = batches(data.rest(0))
    assert sorted(chain(*drawn)) == list(range(1000))
    padded = sum(len(batch) * sizes[batch].max() for batch in drawn)
    assert padded < 1.05 * sizes.sum(), "rows drawn at random take 1.8 times their tokens"
    longest = [sizes[batch].max() for batch in drawn[:50]]
    assert longest != sorted(longest), "the batches are in no order of size"
    by_size = [np.argsort([sizes[b].sum() for b in part]) for part in (drawn[:50], drawn[50:])]
    assert (by_size[0] != by_size[1]).mean() > 0.5, "each 50 batches are in an order of their own"


def test_batches_are_transformed_by_a_number_of_their_own() -> None:
    def numbered(x: Any, y: Any, batch: Any) -> Any:
        return batch, y

    data = NumberedEpochs(ROWS, Noted(), 8, transform=numbered)

    def numbers(rows: Any) -> list[int]:
        return [int(batch) for batch, _ in rows]

    whole = {epoch: numbers(data.rest(epoch)) for epoch in (0, 7)}
    assert len({*whole[0], *whole[7]}) == 6
    assert numbers(data.rest(7, 1)) == whole[7][1:]
    shared = [numbers(data.shared(7, 0, Share(replica, 1, 2))) for replica in (0, 1)]
    assert len({*shared[0], *shared[1]}) == 6


@pytest.mark.parametrize(("rows", "size"), [(0, 4), (4, 0)])
def test_numbers_below_one(rows: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"Received: rows={rows}, batch_size={size}"):
        NumberedEpochs(rows, Noted(), size)


def images(folder: Path, rows: int) -> NumberedEpochs:
    """Images of 3 kB each in shards."""
    generator = np.random.default_rng(0)
    write_shards(
        (
            {"x": generator.integers(0, 256, (32, 32, 3), np.uint8), "y": np.int32(i % 10)}
            for i in range(rows)
        ),
        folder,
    )
    shards = Shards(folder)

    def read(numbers: Any) -> Any:
        columns = shards.read(numbers)
        return columns["x"], columns["y"]

    return NumberedEpochs(rows, read, 100)


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    """10 times the rows, written and read: 60 MB on the disk and none of them in memory."""
    peaks = []
    for rows in (2000, 20_000):
        data = images(tmp_path / str(rows), rows)
        for _ in range(2):  # the first epoch fills the pipeline's buffers
            assert sum(len(y) for _, y in data.rest(0)) == rows
        peaks.append(peak_megabytes())
    assert peaks[1] - peaks[0] < 15


def test_fit_takes_them(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10),
        ]
    )
    rdrop = RDropModel(model)
    rdrop.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    logs = rdrop.fit(images(tmp_path, 250), epochs=2, verbose=0).history
    assert len(logs["kl"]) == 2
    assert min(logs["kl"]) > 0


def test_facts_are_of_the_order_and_of_a_few_labels() -> None:
    noted = Noted()
    data = NumberedEpochs(ROWS, noted, 8, seed=3)
    facts = data.facts()
    assert noted.read == [0, 11, 22]
    assert facts == NumberedEpochs(ROWS, Noted(), 8, seed=3).facts()
    other = NumberedEpochs(ROWS, lambda numbers: (numbers, 9 * numbers), 8, seed=3).facts()
    assert difference(facts, other) == "other values in the rows"
    assert difference(facts, NumberedEpochs(ROWS + 1, Noted(), 8, seed=3).facts()) == (
        "rows=24, which was 23"
    )
