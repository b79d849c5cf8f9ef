"""What may follow, by itself."""

from typing import Any

import numpy as np
import pytest
from keras import ops

from rdrop_tf.text.decoding.lengths import Limits
from rdrop_tf.text.decoding.rules import Rules


def ruled_out(history: list[int], size: int) -> list[int]:
    """Which of 8 tokens would complete an n-gram for the second time."""
    # What is behind the position is of no account.
    padded = np.array([[*history, 5, 5, 5]], "int32")
    logits = np.zeros((1, 8), "float32")
    rules = Rules(no_repeat_ngram=size)
    left = rules.without_repeats(logits, padded, ops.convert_to_tensor(len(history)))
    return np.flatnonzero(np.isneginf(ops.convert_to_numpy(left)[0])).tolist()


@pytest.mark.parametrize(
    ("history", "size", "expected"),
    [
        ([], 1, []),
        ([], 2, []),
        ([3], 2, []),
        ([3, 4, 3], 1, [3, 4]),
        ([3, 4, 3], 2, [4]),
        ([3, 3], 2, [3]),
        ([3, 4, 3, 6, 3], 2, [4, 6]),
        ([3, 4, 6, 3, 4], 3, [6]),
        ([3, 4, 6, 4, 3], 3, []),
        ([3, 4, 6, 3, 4], 9, []),
        ([3, 4, 2, 3, 4], 3, []),
        ([3, 4, 3], 0, []),
    ],
)
def test_repeated_ngrams(history: list[int], size: int, expected: list[int]) -> None:
    assert ruled_out(history, size) == expected


def test_which_tokens_may_stand_where() -> None:
    rules = Rules(min_length=2, max_length=4)
    limits = Limits(np.array([2, 2], "int32"), np.array([4, 1], "int32"))
    allowed = [
        ops.convert_to_numpy(rules.allowed(5, ops.convert_to_tensor(i), limits)).astype(int)
        for i in (0, 2, 4)
    ]
    np.testing.assert_array_equal(allowed[0], [[0, 0, 0, 1, 1]] * 2)
    np.testing.assert_array_equal(allowed[1], [[0, 0, 1, 1, 1]] * 2)
    np.testing.assert_array_equal(allowed[2], [[0, 0, 1, 0, 0], [0, 0, 1, 1, 1]])


@pytest.mark.parametrize(
    ("ids", "classes", "expected"),
    [
        ({}, 9, [0, 1]),
        ({"start_id": 2}, 9, [0]),
        ({"pad_id": 2}, 9, [1]),
        ({"start_id": 0}, 9, [0]),
        ({"start_id": 9}, 9, [0]),
    ],
)
def test_padding_and_start_are_never_generated(
    ids: dict[str, int], classes: int, expected: list[int]
) -> None:
    assert Rules(**ids).never(classes) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"length_penalty": float("inf")}, r"`length_penalty` must be a finite number"),
        ({"length_penalty": "1"}, r"`length_penalty` must be a finite number"),
        ({"no_repeat_ngram": -1}, r"`no_repeat_ngram` must be a whole number >= 0"),
        ({"end_id": -1}, r"`end_id` must be a whole number >= 0. Received: end_id=-1"),
        ({"max_length": 0}, r"`max_length` must be a whole number >= 1. Received: max_length=0"),
        ({"max_length": 2.5}, r"`max_length` must be a whole number >= 1"),
        ({"max_length": (1, 2, 3)}, r"or \(a, b\) for a · source tokens \+ b"),
        ({"max_length": (-1.0, 50)}, r"`max_length` = \(a, b\) needs a >= 0"),
        ({"min_length": (-1.0, 50)}, r"`min_length` = \(a, b\) needs a >= 0"),
        ({"min_length": (1,)}, r"`min_length` must be a whole number of tokens, or \(a, b\)"),
        ({"max_length": 9, "reach": 8}, r"`max_length` must not exceed the 8 tokens that the dec"),
        ({"max_length": (0.5, 0.4)}, r"needs a >= 0 and a \+ b >= 1"),
        ({"max_length": (1.0, float("nan"))}, r"`max_length\[1\]` must be a finite number"),
        ({"min_length": -1}, r"`min_length` must be a whole number >= 0"),
        ({"min_length": 6, "max_length": 5}, r"`min_length` must not exceed .* 5 tokens here"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Rules(**options)
