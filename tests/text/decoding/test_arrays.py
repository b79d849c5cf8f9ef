"""The largest values, fast and exact, equals in order."""

import numpy as np
import pytest
from keras import ops

from rdrop_tf.text.decoding.arrays import any_at, top_k, top_k_of_sums


def by_sorting(x: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-x.astype("float64"), axis=1, kind="stable")[:, :k]


def some(levels: int, *shape: int) -> np.ndarray:
    """Values with many equals where there are few levels; some rows have hardly any."""
    rng = np.random.default_rng(shape[-1])
    x = (rng.integers(levels, size=shape) / 7).astype("float32")
    x[0] = -np.inf
    x[1, ..., 5:] = -np.inf
    return x


LEVELS = pytest.mark.parametrize("levels", [3, 40, 10**6])


@LEVELS
def test_the_largest_by_value_and_then_by_place(levels: int) -> None:
    x = some(levels, 20, 1000)
    values, places = (ops.convert_to_numpy(found) for found in top_k(x, 6))
    np.testing.assert_array_equal(places, by_sorting(x, 6))
    np.testing.assert_array_equal(values, np.take_along_axis(x, by_sorting(x, 6), axis=1))


@pytest.mark.parametrize("classes", [7, 640, 1000, 4001, 8000])
@LEVELS
def test_the_largest_sums_by_value_and_then_by_place(classes: int, levels: int) -> None:
    x = some(levels, 20, 3, classes)
    less, more = np.random.default_rng(1).integers(3, size=(2, 20, 3)).astype("float32")
    more[2:5, 1] = -np.inf
    x[3, 1], x[4, 1] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        sums = more[:, :, None] + (x - less[:, :, None])
    sums[2:5, 1] = -np.inf
    flat = sums.reshape(20, -1)
    given = (x, ops.convert_to_tensor(less), ops.convert_to_tensor(more))
    found = [ops.convert_to_numpy(part) for part in top_k_of_sums(*given, 6)]
    np.testing.assert_array_equal(found[1] * classes + found[2], by_sorting(flat, 6))
    np.testing.assert_array_equal(found[0], np.take_along_axis(flat, by_sorting(flat, 6), axis=1))


def test_a_large_common_part_of_the_logits_goes_first() -> None:
    """0.1 + (2²⁰ - 2²⁰) is 0.1, and (0.1 - 2²⁰) + 2²⁰ is not."""
    x = np.full((1, 1, 640), 2.0**20, "float32")
    less, more = (ops.full((1, 1), value) for value in (2.0**20, 0.1))
    found, _, _ = top_k_of_sums(x, less, more, 2)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), np.full((1, 2), 0.1, "float32"))


def test_where_several_meet_any_of_them_counts() -> None:
    columns = np.array([[1, 1, 3], [0, 2, 2]], "int32")
    values = np.array([[True, False, False], [False, True, True]])
    found = any_at(columns, values, np.zeros((2, 4), "float32"))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(found), [[False, True, False, False], [False, False, True, False]]
    )
