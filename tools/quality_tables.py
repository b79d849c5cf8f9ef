"""Writes the figures of benchmarks/results/quality.csv into the documents that show them.

    python tools/quality_tables.py            after python -m benchmarks.quality run
    python tools/quality_tables.py --check    exits with 1 where a document is out of date

These are docs/results.md, README.md and the file from which `rdrop recipes` shows them. A study
appears when its report stage has both arms over the same two seeds or more.
"""

import csv
import json
import re
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

from rdrop_tf.tasks.statistics import paired_difference

HOME = Path(__file__).parent.parent
ROWS = HOME / "benchmarks" / "results" / "quality.csv"
DOCUMENT, README = HOME / "docs" / "results.md", HOME / "README.md"
MEASURED = HOME / "rdrop_tf" / "recipes" / "measured_quality.json"
PLACE = re.compile(r"(<!-- quality\.csv -->\n).*(<!-- end of quality\.csv -->)", re.DOTALL)
SUMMARY_PLACE = re.compile(r"(<!-- quality -->\n).*(<!-- end of quality -->)", re.DOTALL)
NOTHING = "No study is measured to its end yet.\n"
HEADER = (
    "| data | figure | seeds | α = 0 | α of R-Drop | with R-Drop | difference (95 % interval) "
    "| α = 0, twice the epochs | R-Drop against that |\n|---|---|---|---|---|---|---|---|---|"
)
PROBE_HEADER = (
    "| data | trained for | α = 0 | with R-Drop | share of α = 0 | α = 0, twice the epochs |\n"
    "|---|---|---|---|---|---|"
)
CHOICE_HEADER = "| data | learning rate | α | seeds | validation mean |\n|---|---|---|---|---|"

SUMMARY_HEADER = (
    "| data | network | figure | seeds | α = 0 | with R-Drop | difference (95 % interval) "
    "| against twice the epochs |\n|---|---|---|---|---|---|---|---|"
)
ENCODER = "MiniLM, 6 layers of 384"
TRANSFORMER = "Transformer, 4 + 4 layers of 128"
# What each study is, for whoever has not seen its recipe, and that recipe.
STUDIES = {
    "mrpc": ("MRPC", ENCODER, "mrpc-small"),
    "sst-2": ("SST-2, 8,000 rows", ENCODER, "sst-2-small"),
    "sts-b": ("STS-B", ENCODER, "sts-b-small"),
    "rte": ("RTE", ENCODER, "rte-small"),
    "cifar100-vit": ("CIFAR-100, 10,000 images", "vision transformer", "cifar100-vit-small"),
    "cifar100-resnet": ("CIFAR-100, 10,000 images", "Wide ResNet", "cifar100-wide-resnet"),
    "multi30k-en-de": ("Multi30k En-De", TRANSFORMER, "multi30k/en-de"),
    "multi30k-de-en": ("Multi30k De-En", TRANSFORMER, "multi30k/de-en"),
}

Row = dict[str, str]


def main(check: bool) -> int:
    rows = list(csv.DictReader(ROWS.read_text("utf-8").splitlines())) if ROWS.exists() else []
    outdated = [path for path, text in documents(rows).items() if path.read_text("utf-8") != text]
    for path in outdated:
        if check:
            print(f"{path.name} does not show quality.csv: run python tools/quality_tables.py")
        else:
            path.write_text(documents(rows)[path], encoding="utf-8")
    return int(check and bool(outdated))


def documents(rows: list[Row]) -> dict[Path, str]:
    """Returns what each document should hold."""
    return {
        DOCUMENT: with_tables(DOCUMENT.read_text("utf-8"), PLACE, content(rows)),
        README: with_tables(README.read_text("utf-8"), SUMMARY_PLACE, summary(rows)),
        MEASURED: json.dumps(measured(rows), indent=2, ensure_ascii=False) + "\n",
    }


def measured(rows: list[Row]) -> dict[str, list[str]]:
    """Returns what `rdrop recipes` shows of each recipe that was measured."""
    lines = {
        recipe: measured_lines(_of(rows, study, "report"))
        for study, (_, _, recipe) in STUDIES.items()
    }
    return {recipe: found for recipe, found in lines.items() if found}


def measured_lines(rows: list[Row]) -> list[str]:
    """Returns the figures of a study and what they are of; nothing without two pairs."""
    arms = arms_of(rows)
    if arms is None:
        return []
    plain, rdrop, longer = arms
    data, network, _ = STUDIES[rows[0]["study"]]
    name, alpha = rows[0]["metric"], float(next(iter(rdrop.values()))["alpha"])
    epochs = min(int(row["epochs"]) for row in rows)
    figures = [
        f"{name}, {len(plain.keys() & rdrop.keys())} seeds",
        f"alpha 0: {mean_and_range(plain, name)}",
        f"alpha {alpha:g}: {mean_and_range(rdrop, name)}",
    ]
    if longer:
        figures.append(f"alpha 0 for {2 * epochs} epochs: {mean_and_range(longer, name)}")
    return [
        "; ".join(figures),
        f"{data}, {network}, {epochs} epochs: python -m benchmarks.quality run, {provenance(rows)}",
    ]


def with_tables(text: str, place: re.Pattern[str], shown: str) -> str:
    """Puts what is shown between the two comments that mark the place."""
    return place.sub(lambda found: f"{found[1]}{shown}{found[2]}", text)


def summary(rows: list[Row]) -> str:
    """Returns one line a study, of the figure that it is judged by."""
    lines = [line for study in STUDIES for line in summary_lines(_of(rows, study, "report"))]
    return ("\n".join([SUMMARY_HEADER, *lines]) if lines else NOTHING.strip()) + "\n"


def summary_lines(rows: list[Row]) -> Iterable[str]:
    """Yields the line of a study whose arms share two seeds or more."""
    arms = arms_of(rows)
    if arms is None:
        return
    plain, rdrop, longer = arms
    data, network, _ = STUDIES[rows[0]["study"]]
    name, alpha = rows[0]["metric"], float(next(iter(rdrop.values()))["alpha"])
    yield (
        f"| {data} | {network} | {name} | {len(plain.keys() & rdrop.keys())} "
        f"| {mean_and_range(plain, name)} | α = {alpha:g}: {mean_and_range(rdrop, name)} "
        f"| {difference(plain, rdrop, name)} | {difference(longer, rdrop, name)} |"
    )


def content(rows: list[Row]) -> str:
    studies = list(dict.fromkeys(row["study"] for row in rows))
    reported = [line for study in studies for line in report_lines(_of(rows, study, "report"))]
    chosen = [
        line
        for study in studies
        for stage in ("rate", "alpha")
        for line in choice_lines(_of(rows, study, stage))
    ]
    parts = ["\n".join([HEADER, *reported]) if reported else NOTHING.strip()]
    probed = [line for study in studies for line in probe_lines(_of(rows, study, "report"))]
    if probed:
        parts += [
            "How far two passes over 100 training rows are apart after training: the divergence in "
            "nats, of STS-B the squared difference of scores (mean over the seeds):",
            "\n".join([PROBE_HEADER, *probed]),
        ]
    if chosen:
        parts += [
            "What the validation part chose among (mean over seeds that are not reported):",
            "\n".join([CHOICE_HEADER, *chosen]),
        ]
    if rows:
        parts.append(provenance(rows))
    return "\n\n".join(parts) + "\n"


def report_lines(rows: list[Row]) -> Iterable[str]:
    """Yields one line a figure of a study whose arms share two seeds or more."""
    arms = arms_of(rows)
    if arms is None:
        return
    plain, rdrop, longer = arms
    alpha = float(next(iter(rdrop.values()))["alpha"])
    main_figure = rows[0]["metric"]
    figures = json.loads(rows[0]["figures"])
    for name in (main_figure, *(name for name in figures if name != main_figure)):
        yield (
            f"| {rows[0]['study']} | {name} | {len(plain.keys() & rdrop.keys())} "
            f"| {mean_and_range(plain, name)} | {alpha:g} | {mean_and_range(rdrop, name)} "
            f"| {difference(plain, rdrop, name)} | {mean_and_range(longer, name)} "
            f"| {difference(longer, rdrop, name)} |"
        )


def probe_lines(rows: list[Row]) -> Iterable[str]:
    """Yields one line of a study whose arms share two seeds or more."""
    arms = arms_of(rows)
    if arms is None:
        return
    plain, rdrop, longer = (
        statistics.fmean(float(row["probe_kl"]) for row in arm.values()) if arm else None
        for arm in arms
    )
    assert plain is not None
    assert rdrop is not None
    epochs = min(int(row["epochs"]) for row in rows)
    shown = "-" if longer is None else f"{longer:.4f}"
    yield (
        f"| {rows[0]['study']} | {epochs} epochs | {plain:.4f} | {rdrop:.4f} "
        f"| {rdrop / plain:.0%} | {shown} |"
    )


def arms_of(rows: list[Row]) -> tuple[dict[str, Row], dict[str, Row], dict[str, Row]] | None:
    """Returns alpha 0, R-Drop, and alpha 0 for longer, by seed; None without two pairs."""
    if not rows:
        return None
    epochs = min(int(row["epochs"]) for row in rows)
    plain = by_seed(row for row in rows if not float(row["alpha"]) and int(row["epochs"]) == epochs)
    longer = by_seed(row for row in rows if not float(row["alpha"]) and int(row["epochs"]) > epochs)
    rdrop = by_seed(row for row in rows if float(row["alpha"]))
    return (plain, rdrop, longer) if len(plain.keys() & rdrop.keys()) >= 2 else None


def choice_lines(rows: list[Row]) -> Iterable[str]:
    """Yields one line for each setting that was tried."""
    settings = sorted({(float(row["learning_rate"]), float(row["alpha"])) for row in rows})
    for rate, alpha in settings:
        values = [
            float(row["validation"])
            for row in rows
            if (float(row["learning_rate"]), float(row["alpha"])) == (rate, alpha)
        ]
        mean = statistics.fmean(values)
        yield f"| {rows[0]['study']} | {rate:g} | {alpha:g} | {len(values)} | {mean:.4f} |"


def by_seed(rows: Iterable[Row]) -> dict[str, Row]:
    return {row["seed"]: row for row in rows}


def mean_and_range(arm: dict[str, Row], name: str) -> str:
    if not arm:
        return "-"
    values = [figure(row, name) for row in arm.values()]
    return f"{statistics.fmean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def difference(baseline: dict[str, Row], other: dict[str, Row], name: str) -> str:
    seeds = sorted(baseline.keys() & other.keys())
    if len(seeds) < 2:
        return "-"
    found = paired_difference(
        [figure(baseline[seed], name) for seed in seeds],
        [figure(other[seed], name) for seed in seeds],
    )
    return f"{found.mean:+.4f} ({found.low:+.4f} to {found.high:+.4f})"


def figure(row: Row, name: str) -> float:
    value: float = json.loads(row["figures"])[name]
    return value


def provenance(rows: list[Row]) -> str:
    machines = dict.fromkeys(
        f"{row['device']} (keras {row['keras']} on {row['backend']})" for row in rows
    )
    hours = sum(float(row["seconds"]) for row in rows) / 3600
    return f"{len(rows)} runs, {hours:.1f} hours of training, on {' and '.join(machines)}."


def _of(rows: list[Row], study: str, stage: str) -> list[Row]:
    return [row for row in rows if (row["study"], row["stage"]) == (study, stage)]


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
