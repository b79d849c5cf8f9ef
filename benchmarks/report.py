"""What the benchmarks share: rows of figures, and the csv files that keep them."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.timing import ratios, spread
from rdrop_tf.tasks.environment import describe_environment

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


def timed(
    times: Mapping[str, list[float]], way: str, bases: Mapping[str, str] | Sequence[str]
) -> Row:
    """Summarises the rounds of one way.

    Args:
        times: Milliseconds of each round, by way.
        way: The way to summarise.
        bases: Ways to divide by, round by round; by the name the column gets, where that differs.
            One that was not timed leaves its columns empty.
    """
    middle, low, high = spread(times[way])
    row: Row = {"rounds": len(times[way])}
    row |= {"milliseconds": middle, "milliseconds_p10": low, "milliseconds_p90": high}
    named = bases if isinstance(bases, Mapping) else {base: base for base in bases}
    for name, base in named.items():
        parts: tuple[Any, ...] = ("", "", "")
        if base in times:
            parts = spread(ratios(times[way], times[base]))
        for end, value in zip(("", " p10", " p90"), parts, strict=True):
            row[f"over {name}{end}"] = value
    return row


def machine(*packages: str) -> Row:
    """Describes what the figures were measured on."""
    environment = describe_environment()
    return {
        "python": environment["python"],
        "keras": environment["versions"]["keras"],
        **{package: environment["versions"].get(package, "") for package in packages},
        "processor": environment["processor"],
        "cores": environment["logical_cores"],
    }


def write(path: Path, rows: Sequence[Row], beside: Row | None = None) -> None:
    """Writes the rows with the machine and the versions beside them.

    Args:
        path: The csv file; its folder is made where it is missing.
        rows: The rows; a column that a row lacks stays empty.
        beside: What stands in every row; None for this machine with TensorFlow.
    """
    same = machine("tensorflow") if beside is None else beside
    columns = list(dict.fromkeys(key for row in rows for key in (*row, *same)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows:
            rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
            writer.writerow(rounded | same)
    print(f"\nwrote {path}")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
