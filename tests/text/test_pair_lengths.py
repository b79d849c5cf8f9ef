import re
from typing import Any

import numpy as np
import pytest

from rdrop_tf.text.pair_lengths import select_pairs

LENGTHS = [(2, 2), (2, 3), (3, 2), (2, 4), (4, 2), (9, 9), (0, 1), (0, 0), (10, 9), (1, 20)]
SOURCE, TARGET = ([[7] * pair[side] for pair in LENGTHS] for side in (0, 1))


@pytest.mark.parametrize("max_tokens", [None, 9, 3])
@pytest.mark.parametrize("max_ratio", [None, 1.5, 1])
def test_pairs_within_the_limits(max_tokens: int | None, max_ratio: float | None) -> None:
    kept, report = select_pairs(SOURCE, TARGET, max_tokens=max_tokens, max_ratio=max_ratio)
    expected = [
        number
        for number, (s, t) in enumerate(LENGTHS)
        if (max_tokens is None or (s <= max_tokens and t <= max_tokens))
        and (max_ratio is None or (s <= max_ratio * t and t <= max_ratio * s))
    ]
    np.testing.assert_array_equal(kept, expected)
    assert (report.lines, report.kept) == (len(LENGTHS), len(expected))
    assert sum(report.counts.values()) == len(LENGTHS) - len(expected)


def test_the_report_names_pairs() -> None:
    _, report = select_pairs(SOURCE, TARGET, max_tokens=9, max_ratio=1.5)
    assert str(report) == (
        "10 pairs measured, 5 pairs kept; 3 of unlike length (pair:3, pair:4, pair:6); "
        "2 longer than 9 tokens (pair:8, pair:9)"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"max_tokens": 0}, "`max_tokens` must be at least 1 or None. Received: max_tokens=0"),
        ({"max_ratio": 0.5}, "`max_ratio` must be at least 1 or None. Received: max_ratio=0.5"),
        ({"target": [[1]]}, "both sides must have equally many texts; got 10 and 1"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        select_pairs(**{"source": SOURCE, "target": TARGET, **arguments})
