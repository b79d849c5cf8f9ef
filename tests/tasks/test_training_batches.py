"""Training batches are a function of (seed, epoch, place), wherever they come from."""

import json
from importlib.util import find_spec
from itertools import chain
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rdrop_tf.data.facts import difference
from rdrop_tf.models import RDropModel
from rdrop_tf.tasks import training_batches
from rdrop_tf.tasks.parts import Examples, Part, Stream
from rdrop_tf.tasks.training_batches import TrainingBatches
from tests.tasks.test_parts import ROWS, _nested, _numbered, _stream


def _read(batches: Any) -> list[Any]:
    if isinstance(batches, keras.utils.PyDataset):
        return [batches[index] for index in range(len(batches))]
    assert int(batches.cardinality()) >= 0
    return list(batches.as_numpy_iterator())


def _rows(batches: Any) -> list[list[int]]:
    """Returns the rows' numbers batch by batch."""
    read = _read(batches)
    for x, y in read:
        np.testing.assert_array_equal(x["ids"], np.stack([x["mask"], -x["mask"]], axis=1))
        np.testing.assert_array_equal(y, 10 * x["mask"])
    return [x["mask"].tolist() for x, _ in read]


@pytest.fixture(params=["arrays", "stream", "numbered", "arrays without TensorFlow"])
def part(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Part:
    if request.param == "stream":
        return _stream(_nested())
    if request.param == "numbered":
        return _numbered(_nested())
    if request.param == "arrays without TensorFlow":
        hidden = lambda name: None if name == "tensorflow" else find_spec(name)  # noqa: E731
        monkeypatch.setattr(training_batches, "find_spec", hidden)
    return _nested()


def test_without_tensorflow_arrays_come_from_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_batches, "find_spec", lambda name: None)
    assert isinstance(TrainingBatches(_nested(), 8, 0).rest(0), keras.utils.PyDataset)


def test_an_epoch_has_all_rows_in_an_order_of_seed_and_epoch(part: Part) -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        np.random.random(epoch + 1)
        tf.random.uniform([seed + 1])
        return _rows(TrainingBatches(part, 8, seed).rest(epoch))

    orders = {(seed, epoch): order(seed, epoch) for seed in (3, 4) for epoch in (0, 1)}
    for key, one in orders.items():
        assert one == order(*key)
        assert [len(batch) for batch in one] == [8, 8, 7]
        assert sorted(chain(*one)) == list(range(ROWS)) != list(chain(*one))
    assert len({str(one) for one in orders.values()}) == 4


def test_an_epoch_can_be_begun_anywhere(part: Part) -> None:
    batches = TrainingBatches(part, 8, 0)
    assert batches.batches(5) == 3
    for first in (1, 2):
        assert _rows(batches.rest(5, first)) == _rows(batches.rest(5))[first:]


def test_batches_are_transformed_by_a_number_of_their_own(part: Part) -> None:
    def numbered(x: Any, y: Any, batch: Any) -> Any:
        return {"mask": x["mask"], "number": batch}, y

    batches = TrainingBatches(part, 8, 0, numbered)
    whole = {epoch: [int(x["number"]) for x, _ in _read(batches.rest(epoch))] for epoch in (0, 7)}
    assert len({*whole[0], *whole[7]}) == 6
    for epoch, numbers in whole.items():
        assert [int(x["number"]) for x, _ in _read(batches.rest(epoch, 1))] == numbers[1:]


def test_rows_are_grouped() -> None:
    def pairs(order: Any, batch_size: int, generator: Any) -> Any:
        return [np.array([row, (row + 1) % ROWS]) for row in order[:4]]

    drawn = _rows(TrainingBatches(_nested(), 8, 0, grouping=pairs).rest(0))
    assert [(b - a) % ROWS for a, b in drawn] == [1, 1, 1, 1]


def test_fit_sees_another_order_each_epoch(part: Part) -> None:
    seen: list[int] = []

    def record(y: Any, predicted: Any) -> Any:
        seen.extend(np.asarray(y).ravel().tolist())
        return keras.ops.mean(predicted)

    ids, mask = keras.Input((2,), name="ids"), keras.Input((), name="mask")
    model = keras.Model({"ids": ids, "mask": mask}, layers.Dense(1)(ids))
    rdrop = RDropModel(model, alpha=0.0)
    rdrop.compile("sgd", record, run_eagerly=True)
    rdrop.fit(TrainingBatches(part, 8, 0), epochs=2, verbose=0)
    first, second = seen[:ROWS], seen[ROWS:]
    assert sorted(first) == sorted(second) == [10 * row for row in range(ROWS)]
    assert first != second


def test_a_part_in_memory_is_shuffled_as_a_whole() -> None:
    many = Examples(np.arange(5000), np.arange(5000))
    first, _ = next(iter(TrainingBatches(many, 100, 0).rest(0)))
    assert np.asarray(first).max() > 4500


def test_a_stream_shorter_than_the_buffer_is_shuffled_as_a_whole() -> None:
    numbers = np.arange(900)
    stream = Stream(tf.data.Dataset.from_tensor_slices((numbers, numbers)), 900)
    first, _ = next(iter(TrainingBatches(stream, 100, 0).rest(0)))
    assert np.asarray(first).max() > 800


def test_a_short_epoch_has_one_batch(part: Part) -> None:
    assert [len(batch) for batch in _rows(TrainingBatches(part, 100, 0).rest(0))] == [ROWS]


def test_facts_tell_other_seeds_and_files(part: Part) -> None:
    facts = TrainingBatches(part, 4, seed=1).facts()
    assert facts == json.loads(json.dumps(TrainingBatches(part, 4, seed=1).facts()))
    assert difference(facts, TrainingBatches(part, 4, seed=2).facts()) == "seed=2, which was 1"
    if isinstance(part, Examples):
        other = Examples(part.x, part.y[::-1])
        found = TrainingBatches(other, 4, seed=1).facts()
        assert difference(facts, found) == "other values in the rows"
