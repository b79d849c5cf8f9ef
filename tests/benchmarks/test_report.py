from pathlib import Path

import pytest

from benchmarks import report


def test_a_way_is_divided_by_its_bases_round_by_round() -> None:
    times = {"a": [2.0, 30.0, 4.0], "b": [1.0, 10.0, 2.0]}
    row = report.timed(times, "a", {"base": "b", "missing": "c"})
    assert row["rounds"] == 3
    assert row["milliseconds"] == 4.0
    assert (row["over base"], row["over base p10"], row["over base p90"]) == (2.0, 2.0, 3.0)
    assert row["over missing"] == row["over missing p90"] == ""


def test_rows_are_read_as_they_were_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "rows.csv"
    report.write(path, [{"a": 1.23456}, {"a": 2, "b": "x"}], {"cores": 2})
    assert report.read(path) == [
        {"a": "1.2346", "cores": "2", "b": ""},
        {"a": "2", "cores": "2", "b": "x"},
    ]
    assert str(path) in capsys.readouterr().out


@pytest.mark.parametrize("packages", [("tensorflow",), ("jax", "tensorflow")])
def test_the_machine_names_its_packages(packages: tuple[str, ...]) -> None:
    assert set(report.machine(*packages)) >= {"python", "keras", "cores", *packages}
