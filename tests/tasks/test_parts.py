"""What a part of a data set gives."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rdrop_tf.tasks.parts import Examples, NumberedRows, Stream, first_inputs, predictions, take

ROWS = 23


def _nested() -> Examples:
    """Rows whose every leaf tells the row's number."""
    numbers = np.arange(ROWS, dtype=np.int32)
    return Examples({"ids": np.stack([numbers, -numbers], axis=1), "mask": numbers}, 10 * numbers)


def _stream(examples: Examples) -> Stream:
    return Stream(tf.data.Dataset.from_tensor_slices(tuple(examples)), examples.rows)


def _numbered(examples: Examples) -> NumberedRows:
    columns = keras.tree.map_structure(tf.constant, tuple(examples))
    read = lambda numbers: keras.tree.map_structure(lambda leaf: tf.gather(leaf, numbers), columns)  # noqa: E731
    return NumberedRows(read, examples.rows)


def test_take_takes_rows_of_every_leaf() -> None:
    chosen = take(_nested(), np.array([5, 1]))
    np.testing.assert_array_equal(chosen.x["ids"], [[5, -5], [1, -1]])
    assert chosen.y.tolist() == [50, 10]
    assert chosen.rows == 2
    assert take(_nested(), slice(4)).x["mask"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("make", [lambda examples: examples, _stream, _numbered])
@pytest.mark.parametrize(("rows", "given"), [(4, 4), (100, ROWS)])
def test_the_first_inputs_are_the_first(make: Any, rows: int, given: int) -> None:
    x = first_inputs(make(_nested()), rows)
    np.testing.assert_array_equal(np.asarray(x["mask"]), np.arange(given))


@pytest.mark.parametrize("make", [_stream, _numbered])
def test_predictions_are_those_of_the_arrays(make: Any) -> None:
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
    streamed_y, streamed = predictions(model, make(examples), 5)
    np.testing.assert_array_equal(streamed_y, y)
    np.testing.assert_allclose(streamed, predicted, rtol=1e-6)


def _order(batches: Any) -> list[int]:
    pairs = [(int(row), int(label)) for x, y in batches for row, label in zip(x, y, strict=True)]
    assert all(label == 10 * row for row, label in pairs)
    return [row for row, _ in pairs]


@pytest.mark.parametrize("make", [_stream, _numbered])
def test_a_part_is_cut_in_order(make: Any) -> None:
    part = make(Examples(np.arange(9), 10 * np.arange(9)))
    assert _order(part.batched(4)) == list(range(9))
    assert _order(part.first(3).batched(2)) == [0, 1, 2]
    assert _order(part.without_first(3).batched(4)) == [3, 4, 5, 6, 7, 8]
    assert _order(part.without_first(3).without_first(2).first(2).batched(4)) == [5, 6]
    assert (part.first(30).rows, part.without_first(3).rows) == (9, 6)


def test_a_stream_is_shuffled_by_its_seed() -> None:
    stream = _stream(Examples(np.arange(9), 10 * np.arange(9)))
    drawn = _order(stream.shuffled(1).batch(9))
    again, other = (_order(stream.shuffled(seed).batch(9)) for seed in (1, 2))
    assert drawn == again != other
    assert sorted(drawn) == list(range(9)) != drawn
