"""What a part of a data set gives."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rdrop_tf.tasks.parts import Examples, Stream, first_inputs, predictions, take

ROWS = 23


def _nested() -> Examples:
    """Rows whose every leaf tells the row's number."""
    numbers = np.arange(ROWS, dtype=np.int32)
    return Examples({"ids": np.stack([numbers, -numbers], axis=1), "mask": numbers}, 10 * numbers)


def _stream(examples: Examples) -> Stream:
    return Stream(tf.data.Dataset.from_tensor_slices(tuple(examples)), examples.rows)


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


@pytest.mark.parametrize("load", [None, lambda number: (number, 10 * number)])
def test_a_stream_is_shuffled_by_its_seed_and_cut_in_order(load: Any) -> None:
    numbers = tf.data.Dataset.range(9)
    source = numbers if load else numbers.map(lambda number: (number, 10 * number))
    stream = Stream(source, 9, load)

    def order(rows: Any) -> list[int]:
        pairs = [(int(x), int(y)) for x, y in rows]
        assert all(y == 10 * x for x, y in pairs)
        return [x for x, _ in pairs]

    assert order(stream.dataset) == list(range(9))
    assert order(stream.first(3).dataset) == [0, 1, 2]
    assert order(stream.without_first(3).dataset) == [3, 4, 5, 6, 7, 8]
    assert (stream.first(30).rows, stream.without_first(3).rows) == (9, 6)
    drawn = order(stream.shuffled(1))
    assert drawn == order(stream.shuffled(1)) != order(stream.shuffled(2))
    assert sorted(drawn) == list(range(9)) != drawn
