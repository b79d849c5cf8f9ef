"""The maximum length of each sentence."""

import numpy as np
import pytest
from keras import ops

from rdrop_tf.text.decoding.lengths import limits_by_source, limits_of_each


def test_it_is_a_times_the_source_plus_b() -> None:
    for a in range(0, 300, 7):
        for b in (1, 5):
            limits = limits_by_source(0, (a / 100, b), 200).most
            # In whole numbers, where nothing rounds.
            exact = (a * np.arange(201) + 100 * b) // 100
            np.testing.assert_array_equal(limits, exact[: len(limits)])
            assert len(limits) == (201 if a else 1)


def test_it_is_no_less_than_the_minimum_or_one() -> None:
    np.testing.assert_array_equal(limits_by_source(0, (2.0, -1.0), 3).most, [1, 1, 3, 5])
    np.testing.assert_array_equal(limits_by_source(4, (2.0, -1.0), 3).most, [4, 4, 4, 5])


def test_padding_does_not_count() -> None:
    source = np.array([[5, 6, 9], [5, 9, 9], [9, 9, 9]], "int32")
    limits = limits_of_each(limits_by_source((1.0, -1.0), (1.0, 10.0), 3), source, pad_id=9)
    np.testing.assert_array_equal(ops.convert_to_numpy(limits.most), [12, 11, 10])
    np.testing.assert_array_equal(ops.convert_to_numpy(limits.least), [1, 0, 0])


def test_a_constant_limit_needs_no_width() -> None:
    np.testing.assert_array_equal(limits_by_source(2, 7, None).most, [7])
    with pytest.raises(ValueError, match="need sources of a known width"):
        limits_by_source(0, (1.0, 7.0), None)


def test_a_minimum_that_no_source_may_reach_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"the maximum length, 6 tokens here. Received: min_length=7"
    ):
        limits_by_source(7, (1.0, 2.5), 4)


def test_a_minimum_may_depend_on_the_source() -> None:
    limits = limits_by_source((0.5, -1.0), (1.0, 0.0), 6)
    np.testing.assert_array_equal(limits.least, [0, 0, 0, 0, 1, 1, 2])
    np.testing.assert_array_equal(limits.most, [1, 1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(limits_by_source((1.0, 1.0), 3, 2).least, [1, 2, 3])
    with pytest.raises(ValueError, match=r"3 tokens here. Received: min_length=\(1.0, 1.0\) and"):
        limits_by_source((1.0, 1.0), 3, 3)
    with pytest.raises(ValueError, match="need sources of a known width"):
        limits_by_source((1.0, 1.0), 3, None)


def test_a_maximum_ends_where_the_positions_do() -> None:
    np.testing.assert_array_equal(limits_by_source(0, (1.0, 2.0), 4, reach=4).most, [2, 3, 4, 4, 4])
