"""Writes the figures of kept comparisons into the documents that show them.

    python tools/keep_results.py            after benchmarks/results/*.json changed
    python tools/keep_results.py --check    exits with 1 where a document is out of date

A comparison is kept by copying the `result.json` of its folder to
`benchmarks/results/<recipe>.json`. From these files come the table in README.md and what
`rdrop recipes` shows.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

HOME = Path(__file__).parent.parent
RESULTS = HOME / "benchmarks" / "results"
README = HOME / "README.md"
MEASURED = HOME / "rdrop_tf" / "recipes" / "measured.json"

Result = dict[str, Any]


def main(check: bool) -> int:
    stale = [path for path, text in documents().items() if path.read_text("utf-8") != text]
    for path in stale:
        name = path.relative_to(HOME)
        if check:
            print(f"{name} does not show the kept results: run python tools/keep_results.py")
        else:
            path.write_text(documents()[path], encoding="utf-8")
            print(f"wrote {name}")
    return 1 if check and stale else 0


def documents() -> dict[Path, str]:
    """Returns what each document should hold."""
    results = kept_comparisons()
    readme = README.read_text("utf-8")
    for name, result in results.items():
        readme = with_table(readme, name, table(result))
    measured = {
        name: [figures(result), f"{command(result)} {provenance(result)}"]
        for name, result in results.items()
    }
    return {README: readme, MEASURED: json.dumps(measured, indent=2, ensure_ascii=False) + "\n"}


def kept_comparisons() -> dict[str, Result]:
    """Returns the files named after a recipe; other measurements lie beside them."""
    contents = {path.stem: json.loads(path.read_text("utf-8")) for path in RESULTS.glob("*.json")}
    return {
        name: content
        for name, content in sorted(contents.items())
        if "verdicts" in content and content["recipe"]["name"] == name
    }


def with_table(readme: str, name: str, content: str) -> str:
    """Puts a table between the two comments that mark its place."""
    begin, end = f"<!-- results of {name} -->", f"<!-- end of results of {name} -->"
    place = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    if not place.search(readme):
        raise ValueError(f"README.md must hold {begin} and {end}; it does not")
    return place.sub(lambda _: f"{begin}\n{content}\n{end}", readme)


def table(result: Result) -> str:
    metric = result["metric"]
    lines = [
        f"| α | test {metric['name']} ({metric['unit']}), mean | range over {len(result['seeds'])} "
        "seeds | difference to α = 0, 95 % interval | ms per step |",
        "|---|---|---|---|---|",
        *(row_of_table(row) for row in result["rows"]),
        "",
        *result["verdicts"],
        "",
        f"Measured with `{command(result)}` {provenance(result)}.",
    ]
    return "\n".join(lines)


def row_of_table(row: dict[str, Any]) -> str:
    difference = "–"
    if row["difference"]:
        mean, low, high = (row["difference"][key] for key in ("mean", "low", "high"))
        difference = f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
    return (
        f"| {row['alpha']:g} | {row['test_mean']:.2f} | {row['test_low']:.2f} to "
        f"{row['test_high']:.2f} | {difference} | {row['milliseconds_per_step']:.1f} |"
    )


def figures(result: Result) -> str:
    """Writes all alphas' figures in one line."""
    metric = result["metric"]
    rows = [
        f"alpha {row['alpha']:g}: {row['test_mean']:.2f} ({row['test_low']:.2f} to "
        f"{row['test_high']:.2f})"
        for row in result["rows"]
    ]
    what = f"test {metric['name']} in {metric['unit']}, {len(result['seeds'])} seeds"
    return "; ".join([what, *rows])


def command(result: Result) -> str:
    return f"rdrop compare {result['recipe']['name']}"


def provenance(result: Result) -> str:
    environment = result["environment"]
    versions = environment["versions"]
    return (
        f"in {result['seconds']:.0f} s on "
        f"{environment['logical_cores']} cores ({environment['processor']}), Python "
        f"{environment['python']}, keras {versions['keras']}, tensorflow {versions['tensorflow']}"
    )


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
