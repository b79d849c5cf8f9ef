from importlib.util import find_spec
from itertools import chain
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rdrop_tf.tasks import parts
from rdrop_tf.tasks.parts import Examples, Stream, first_inputs, predictions, take, training_batches

ROWS = 23


def _nested() -> Examples:
    """Rows whose every leaf tells the row's number."""
    numbers = np.arange(ROWS, dtype=np.int32)
    return Examples({"ids": np.stack([numbers, -numbers], axis=1), "mask": numbers}, 10 * numbers)


def _stream(examples: Examples) -> Stream:
    return Stream(tf.data.Dataset.from_tensor_slices(tuple(examples)), examples.rows)


def _epoch(batches: Any) -> list[list[int]]:
    """Reads an epoch; returns the rows' numbers batch by batch."""
    if isinstance(batches, keras.utils.PyDataset):
        read = [batches[index] for index in range(len(batches))]
        batches.on_epoch_end()
    else:
        read = list(batches.as_numpy_iterator())
    for x, y in read:
        np.testing.assert_array_equal(x["ids"], np.stack([x["mask"], -x["mask"]], axis=1))
        np.testing.assert_array_equal(y, 10 * x["mask"])
    return [x["mask"].tolist() for x, _ in read]


@pytest.fixture(params=["arrays", "stream", "arrays without TensorFlow"])
def part(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Examples | Stream:
    if request.param == "stream":
        return _stream(_nested())
    if request.param == "arrays without TensorFlow":
        hidden = lambda name: None if name == "tensorflow" else find_spec(name)  # noqa: E731
        monkeypatch.setattr(parts, "find_spec", hidden)
    return _nested()


def test_without_tensorflow_arrays_come_from_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "find_spec", lambda name: None)
    batches = training_batches(_nested(), 8, seed=0)
    assert isinstance(batches, keras.utils.PyDataset)
    assert len(batches) == 3


def test_every_epoch_has_all_rows_in_an_order_of_the_seed_alone(part: Examples | Stream) -> None:
    def order(seed: int) -> list[list[list[int]]]:
        np.random.random(seed)
        tf.random.uniform([seed + 1])
        batches = training_batches(part, 8, seed)
        return [_epoch(batches) for _ in range(3)]

    epochs, again = order(3), order(3)
    assert epochs == again
    assert epochs != order(4)
    for one in epochs:
        assert [len(batch) for batch in one] == [8, 8, 7]
        assert sorted(chain(*one)) == list(range(ROWS))
        assert list(chain(*one)) != list(range(ROWS))
    assert epochs[0] != epochs[1]
    assert epochs[1] != epochs[2]


def test_batches_are_transformed(part: Examples | Stream) -> None:
    class Doubled:
        def __call__(self, x: Any, y: Any) -> Any:
            return {"twice": 2 * x["mask"]}, y

        def over(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
            return dataset.map(self)

    batches = training_batches(part, 8, 0, Doubled())
    x, y = batches[0] if isinstance(batches, keras.utils.PyDataset) else next(iter(batches))
    assert list(x) == ["twice"]
    np.testing.assert_array_equal(5 * np.asarray(x["twice"]), np.asarray(y))


def test_fit_sees_another_order_each_epoch(part: Examples | Stream) -> None:
    seen: list[int] = []

    def record(y: Any, predicted: Any) -> Any:
        seen.extend(np.asarray(y).ravel().tolist())
        return keras.ops.mean(predicted)

    ids, mask = keras.Input((2,), name="ids"), keras.Input((), name="mask")
    model = keras.Model({"ids": ids, "mask": mask}, layers.Dense(1)(ids))
    model.compile("sgd", record, run_eagerly=True)
    model.fit(training_batches(part, 8, 0), epochs=2, shuffle=False, verbose=0)
    first, second = seen[:ROWS], seen[ROWS:]
    assert sorted(first) == sorted(second) == [10 * row for row in range(ROWS)]
    assert first != second


def test_take_takes_rows_of_every_leaf() -> None:
    chosen = take(_nested(), np.array([5, 1]))
    np.testing.assert_array_equal(chosen.x["ids"], [[5, -5], [1, -1]])
    assert chosen.y.tolist() == [50, 10]
    assert chosen.rows == 2
    assert take(_nested(), slice(4)).x["mask"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("make", [lambda examples: examples, _stream])
@pytest.mark.parametrize(("rows", "given"), [(4, 4), (100, ROWS)])
def test_the_first_inputs_are_the_first(make: Any, rows: int, given: int) -> None:
    x = first_inputs(make(_nested()), rows)
    np.testing.assert_array_equal(np.asarray(x["mask"]), np.arange(given))


def test_predictions_of_a_stream_are_those_of_the_arrays() -> None:
    inputs = {"ids": keras.Input((2,), name="ids"), "mask": keras.Input((1,), name="mask")}
    joined = layers.Concatenate()([inputs["ids"], inputs["mask"]])
    model = keras.Model(inputs, layers.Dense(3)(layers.Dropout(0.5)(joined)))
    rng = np.random.default_rng(0)
    x = {"ids": rng.normal(size=(ROWS, 2)), "mask": rng.normal(size=(ROWS, 1))}
    examples = Examples({name: leaf.astype("float32") for name, leaf in x.items()}, np.arange(ROWS))
    y, predicted = predictions(model, examples, 5)
    kernel, bias = model.get_weights()
    expected = np.concatenate([x["ids"], x["mask"]], axis=1) @ kernel + bias
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-5)
    streamed_y, streamed = predictions(model, _stream(examples), 5)
    np.testing.assert_array_equal(streamed_y, y)
    np.testing.assert_allclose(streamed, predicted, rtol=1e-6)


def test_a_part_in_memory_is_shuffled_as_a_whole() -> None:
    many = Examples(np.arange(5000), np.arange(5000))
    first, _ = next(iter(training_batches(many, 100, 0)))
    assert np.asarray(first).max() > 4500


def test_a_stream_shorter_than_the_buffer_is_shuffled_as_a_whole() -> None:
    numbers = np.arange(900)
    stream = Stream(tf.data.Dataset.from_tensor_slices((numbers, numbers)), 900)
    first, _ = next(iter(training_batches(stream, 100, 0)))
    assert np.asarray(first).max() > 800


def test_a_short_epoch_has_one_batch(part: Examples | Stream) -> None:
    assert [len(batch) for batch in _epoch(training_batches(part, 100, 0))] == [ROWS]
