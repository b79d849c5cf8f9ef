"""The largest values, fast and exact, equals in order."""

import numpy as np
import pytest
from keras import ops

from rdrop_tf.text.decoding.arrays import any_at, top_k, top_k_of_many


@pytest.mark.parametrize("classes", [7, 640, 1000, 4001, 8000])
@pytest.mark.parametrize("levels", [3, 40, 10**6])
def test_the_largest_by_value_and_then_by_place(classes: int, levels: int) -> None:
    rng = np.random.default_rng(classes)
    x = (rng.integers(levels, size=(20, classes)) / 7).astype("float32")
    x[0] = -np.inf
    x[1, 5:] = -np.inf
    expected = np.argsort(-x.astype("float64"), axis=1, kind="stable")[:, :6]
    for function in (top_k, top_k_of_many):
        values, places = (ops.convert_to_numpy(found) for found in function(x, 6))
        np.testing.assert_array_equal(places, expected)
        np.testing.assert_array_equal(values, np.take_along_axis(x, expected, axis=1))


def test_where_several_meet_any_of_them_counts() -> None:
    columns = np.array([[1, 1, 3], [0, 2, 2]], "int32")
    values = np.array([[True, False, False], [False, True, True]])
    found = any_at(columns, values, np.zeros((2, 4), "float32"))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(found), [[False, True, False, False], [False, False, True, False]]
    )
