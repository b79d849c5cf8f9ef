import pytest

from benchmarks.timing import interleaved, ratios, spread


def test_every_way_is_called_in_every_round() -> None:
    calls: list[str] = []
    ways = {name: (lambda name=name: calls.append(name)) for name in ("a", "b")}
    times = interleaved(ways, rounds=5, repeats=2)
    assert calls[:2] == ["a", "b"], "once each before anything is timed"
    assert [sorted(calls[2 + 4 * k : 6 + 4 * k]) for k in range(5)] == [["a", "a", "b", "b"]] * 5
    assert [len(values) for values in times.values()] == [5, 5]
    assert all(value >= 0 for values in times.values() for value in values)


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios([2.0, 30.0], [1.0, 10.0]) == [2.0, 3.0]


def test_spread_is_the_median_and_the_outer_tenths() -> None:
    assert spread([float(x) for x in range(11, 0, -1)]) == (6.0, 2.0, 10.0)
    with pytest.raises(ValueError, match="no median"):
        spread([])
