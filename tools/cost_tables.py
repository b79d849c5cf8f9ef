"""Writes the figures of benchmarks/results/step.csv into docs/cost.md.

    python tools/cost_tables.py            after python -m benchmarks.step
    python tools/cost_tables.py --check    exits with 1 where the document is out of date

One table for each model that was timed, with the machine and the versions.
"""

import csv
import re
import sys
from itertools import groupby
from pathlib import Path

HOME = Path(__file__).parent.parent
STEPS = HOME / "benchmarks" / "results" / "step.csv"
DOCUMENT = HOME / "docs" / "cost.md"
PLACE = re.compile(r"(<!-- step\.csv -->\n).*(<!-- end of step\.csv -->)", re.DOTALL)

Row = dict[str, str]


def main(check: bool) -> int:
    text = DOCUMENT.read_text("utf-8")
    written = with_tables(text, list(csv.DictReader(STEPS.read_text("utf-8").splitlines())))
    if not check:
        DOCUMENT.write_text(written, encoding="utf-8")
    elif text != written:
        print("docs/cost.md does not show step.csv: run python tools/cost_tables.py")
    return int(check and text != written)


def with_tables(text: str, rows: list[Row]) -> str:
    """Puts one table for each model between the two comments that mark the place."""
    tables = [table(list(group)) for _, group in groupby(rows, key=lambda row: row["model"])]
    content = "\n".join([*tables, provenance(rows[0])])
    return PLACE.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


def table(rows: list[Row]) -> str:
    lines = [
        f"{rows[0]['words'][0].upper()}{rows[0]['words'][1:]}:",
        "",
        "| step | ms, median (10th to 90th percentile) | times plain | times a loop by hand |",
        "|---|---|---|---|",
        *(line(row) for row in rows),
        "",
    ]
    return "\n".join(lines)


def line(row: Row) -> str:
    time = (
        f"{float(row['milliseconds']):.1f} ({float(row['milliseconds_p10']):.1f} to "
        f"{float(row['milliseconds_p90']):.1f})"
    )
    return f"| {row['way']} | {time} | {ratio(row, 'over plain')} | {ratio(row, 'over by hand')} |"


def ratio(row: Row, name: str) -> str:
    middle, low, high = (float(row[name + end]) for end in ("", " p10", " p90"))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def provenance(row: Row) -> str:
    return (
        f"{row['rounds']} rounds in turns on {row['cores']} cores ({row['processor']}), Python "
        f"{row['python']}, keras {row['keras']}, tensorflow {row['tensorflow']}; ratios are taken "
        "round by round."
    )


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
