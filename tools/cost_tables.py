"""Writes the figures of benchmarks/results into docs/cost.md and README.md, and draws the plots.

    python tools/cost_tables.py            after python -m benchmarks.all
    python tools/cost_tables.py --check    exits with 1 where a document is out of date

A place in a document is marked `<!-- NAME.csv -->` to `<!-- end of NAME.csv -->`; the one in the
README is marked `<!-- cost -->`. A file that is missing leaves its place as it is. Plots are drawn
where matplotlib is installed, to docs/NAME.png.
"""

import csv
import re
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

HOME = Path(__file__).parent.parent
RESULTS = HOME / "benchmarks" / "results"
COST = Path("docs") / "cost.md"
SCALE = Path("docs") / "scale.md"
README = Path("README.md")

Row = dict[str, str]


def main(check: bool, home: Path = HOME) -> int:
    """Writes the documents, or says which are out of date."""
    stale = 0
    found = {path.stem: read(path) for path in sorted(RESULTS.glob("*.csv"))}
    for document, places in DOCUMENTS.items():
        path = home / document
        text = written = path.read_text("utf-8")
        for place, (name, content) in places.items():
            if found.get(name):
                written = with_content(written, place, content(found[name]))
        if check and text != written:
            print(f"{document} does not show the kept figures: run python tools/cost_tables.py")
            stale = 1
        elif not check:
            path.write_text(written, encoding="utf-8")
    if not check:
        draw(found, home / "docs")
    return stale


def read(path: Path) -> list[Row]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def with_content(text: str, place: str, content: str) -> str:
    """Puts a content between the two comments that mark a place."""
    start, end = re.escape(f"<!-- {place} -->\n"), re.escape(f"<!-- end of {place} -->")
    marked = re.compile(f"({start}).*({end})", re.DOTALL)
    return marked.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def exactness_table(rows: list[Row]) -> str:
    """One row a case, one column for each kind of devices."""
    cases = {row["case"]: {} for row in rows}
    for row in rows:
        cases[row["case"]][row["devices"]] = f"{row['weights']} / {row['logs']}"
    devices = list(dict.fromkeys(row["devices"] for row in rows))
    lines = [[case, *(found.get(name, "") for name in devices)] for case, found in cases.items()]
    return "\n".join([markdown(["", *devices], lines), "", *machines(rows)])


def faults_table(rows: list[Row]) -> str:
    lines = [[row["fault"], row["times"], row["killed"], row["right"]] for row in rows]
    head = ["", "times", "killed", "right afterwards"]
    return "\n".join([markdown(head, lines), "", *machines(rows)])


def pipeline_table(rows: list[Row]) -> str:
    head = ["recipe", "data", "examples/s", "trained on, examples/s", "times", "share of a step"]
    lines = [
        [
            row["recipe"],
            row["form"],
            f"{int(row['examples_a_second']):,}",
            row["examples_a_second_trained"],
            f"{float(row['times']):.0f}",
            f"{float(row['share']):.1%}",
        ]
        for row in rows
    ]
    return "\n".join([markdown(head, lines), "", *machines(rows)])


def scaling_tables(rows: list[Row]) -> str:
    """What two processes add up, and what their steps take."""
    sums = [row for row in rows if row["kind"] == "sum"]
    steps = [row for row in rows if row["kind"] == "step"]
    head = ["added up", "ms, measured", "ms, by the model"]
    lines = [[row["what"], row["two_together_ms"], row["predicted_ms"]] for row in sums]
    step_head = [
        "model",
        "MB of gradients",
        "1 process, ms",
        "2 apart, ms",
        "2 together, ms",
        "predicted, ms",
        "predicted / measured",
        "speed of 2, share of twice",
    ]
    step_lines = [
        [
            row["what"],
            f"{int(row['bytes']) / 1e6:.1f}",
            row["alone_ms"],
            row["two_apart_ms"],
            row["two_together_ms"],
            row["predicted_ms"],
            f"{float(row['predicted_by_measured']):.2f}",
            f"{float(row['efficiency']):.2f}",
        ]
        for row in steps
    ]
    link = (
        f"Latency {float(rows[0]['latency_microseconds']):.0f} µs, bandwidth "
        f"{float(rows[0]['gigabytes_per_second']):.2f} GB/s."
    )
    parts = [markdown(head, lines), "", link, "", markdown(step_head, step_lines)]
    return "\n".join([*parts, "", *machines(rows)])


def prediction_table(rows: list[Row]) -> str:
    head = [
        "devices",
        "to compute, ms",
        "to add up, ms",
        "a step, ms",
        "efficiency, nothing hidden",
        "all hidden",
        "target tokens/s",
    ]
    lines = [
        [
            row["devices"],
            row["compute_ms"],
            row["sum_ms"],
            row["step_ms_nothing_hidden"],
            f"{float(row['efficiency_nothing_hidden']):.2f}",
            f"{float(row['efficiency_all_hidden']):.2f}",
            f"{int(row['target_tokens_a_second']):,}",
        ]
        for row in rows
    ]
    return markdown(head, lines)


def step_tables(rows: list[Row]) -> str:
    """One table for each model."""
    parts = []
    for _, group in groupby(rows, key=lambda row: row["model"]):
        lines = list(group)
        words = lines[0]["words"]
        parts += [f"{words[0].upper()}{words[1:]}:", "", step_table(lines), ""]
    return "\n".join([*parts, *machines(rows)])


def step_table(rows: list[Row]) -> str:
    bases = {
        "times plain": "over plain",
        "times plain, doubled batch": "over plain, doubled batch",
        "times a loop by hand": "over by hand",
        "times a loop by hand, XLA": "over by hand, XLA",
    }
    head = ["step", "ms, median (10th to 90th percentile)", *bases]
    return markdown(
        head, [[row["way"], time(row), *(ratio(row, k) for k in bases.values())] for row in rows]
    )


def prefix_table(rows: list[Row]) -> str:
    """A line for each model, batch and backend, a column for each share of a step."""
    shares = list(dict.fromkeys(f"{float(row['share']):.0%}" for row in rows))
    by: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in rows:
        line = by.setdefault((row["model"], row["backend"], row["batch"]), {})
        line[f"{float(row['share']):.0%}"] = row
    lines = [
        [*key, *(ratio(of[share], "over two_calls") if share in of else "" for share in shares)]
        for key, of in by.items()
    ]
    head = ["model", "backend", "batch", *(f"share {share}" for share in shares)]
    first = {share: next(of[share] for of in by.values() if share in of) for share in shares}
    estimate = ["estimate", "", "", *(f"{float(first[s]['estimate']):.2f}" for s in shares)]
    auto = ['what "auto" makes', "", "", *(first[s]["auto"] for s in shares)]
    return "\n".join([markdown(head, [*lines, estimate, auto]), "", *machines(rows)])


def head_table(rows: list[Row]) -> str:
    """The losses of a vocabulary head in each mode."""
    torch = "over PyTorch, official"
    bases = {
        "times plain": "over plain",
        "times README formula": "over README formula",
        "times PyTorch, eager": f"{torch} eager",
        "times PyTorch, compiled": f"{torch} compiled",
    }
    row = rows[0]
    words = f"2 × {row['rows']} rows, {row['features']} features, {int(row['classes']):,} classes:"
    lines = [
        [row["way"], row["mode"], time(row), *(ratio(row, k) for k in bases.values())]
        for row in rows
    ]
    head = ["loss", "mode", "ms, median (10th to 90th percentile)", *bases]
    return "\n".join([words, "", markdown(head, lines), "", *machines(rows)])


def memory_table(rows: list[Row]) -> str:
    lines = [
        [
            f"2 × {row['rows']}, {row['features']}, {int(row['classes']):,}",
            row["way"],
            row["mode"],
            f"{float(row['megabytes']):.0f}",
            f"{float(row['without gradient']):.0f}",
            f"{float(row['over plain']):.2f}" if row["over plain"] else "",
        ]
        for row in rows
    ]
    head = [
        "rows, features, classes",
        "loss",
        "mode",
        "peak above idle, MB",
        "beside the kernel's gradient, MB",
        "times plain",
    ]
    return "\n".join([markdown(head, lines), "", *machines(rows)])


def sweep_tables(rows: list[Row]) -> str:
    """One table for each sweep; its rows are the values, its columns the modes."""
    parts = []
    for sweep, group in groupby(rows, key=lambda row: row["sweep"]):
        lines = [row for row in group if row["way"] != "plain"]
        modes = list(dict.fromkeys(row["mode"] for row in lines))
        values = list(dict.fromkeys(row["value"] for row in lines))
        by = {(row["value"], row["mode"]): row for row in lines}
        head = [sweep, *(f"times plain, {mode}" for mode in modes)]
        body = [
            [value, *(ratio(by[value, m], "over plain") if (value, m) in by else "" for m in modes)]
            for value in values
        ]
        parts += [markdown(head, body), ""]
    return "\n".join([*parts, *machines(rows)])


def translation_table(rows: list[Row]) -> str:
    """Target tokens a second of training, each way against the others."""
    bases = ("times by hand", "times pytorch", "times alpha 0")
    lines = [
        [row["size"], row["way"], time(row), spread(row, "tokens_per_second", 0)]
        + [ratio(row, base) for base in bases]
        for row in rows
        if row["way"] != "input"
    ]
    head = ["size", "way", "ms a step", "target tokens a second"]
    head += ["times by hand", "times PyTorch", "times alpha 0"]
    shares = [
        f"The input takes {float(row['share of a step']):.1%} of a step of size {row['size']}."
        for row in rows
        if row["way"] == "input"
    ]
    return "\n".join([markdown(head, lines), "", *shares, *machines(rows)])


def decoding_table(rows: list[Row]) -> str:
    """Sentences a second of each way to decode, and against the others."""
    bases = [
        name
        for name in rows[0]
        if name.startswith("times ") and not name.endswith((" p10", " p90"))
    ]
    lines = [
        [row["way"], row["beams"], row["sentences"], spread(row, "sentences_per_second", 1)]
        + [ratio(row, base) for base in bases]
        for row in rows
    ]
    head = ["way", "beams", "sentences", "sentences a second", *bases]
    return "\n".join([markdown(head, lines), "", *machines(rows)])


def spread(row: Row, name: str, digits: int) -> str:
    """Shows a figure with its spread."""
    middle, low, high = (float(row[name + end]) for end in ("", " p10", " p90"))
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def accelerator_table(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        model = f"{row['name']}, {int(row['vocabulary']):,} tokens, {row['rows']} × {row['length']}"
        figures = [row["note"], "", "", ""]
        if not row["note"]:
            figures = [
                f"{float(row['milliseconds']):.1f} ({float(row['milliseconds_least']):.1f} to "
                f"{float(row['milliseconds_most']):.1f})",
                f"{float(row['tokens_per_second']):,.0f}",
                f"{float(row['share_of_peak']):.1%}" if row["share_of_peak"] else "",
                f"{float(row['peak_megabytes']):,.0f}" if row["peak_megabytes"] else "",
            ]
        lines.append([model, row["way"], *figures])
    head = ["model, vocabulary, batch", "step", "ms, median (range)", "tokens per second"]
    head += ["share of the peak", "peak memory, MB"]
    row = next((row for row in rows if not row["note"]), rows[0])
    words = f"{row.get('device', '')}, {row['backend']}, keras {row['keras']}, jax {row['jax']}."
    return "\n".join([markdown(head, lines), "", words])


def summary(rows: list[Row]) -> str:
    """For the README: what a step of `RDropModel` costs, one line for each model.

    Of ways that are no more than 5 % apart the plainest is shown: that is noise.
    """
    lines = []
    for _, group in groupby(rows, key=lambda row: row["model"]):
        of = {row["way"]: row for row in group}
        ways = [way for way in ("two_calls", "concat", "shared_prefix") if way in of]
        times = {way: float(of[way]["milliseconds"]) for way in ways}
        best = next(way for way in ways if times[way] <= 1.05 * min(times.values()))
        bases = ("over plain", "over plain, doubled batch", "over by hand")
        lines.append([of[best]["words"], best, *(ratio(of[best], base) for base in bases)])
    head = ["model", "fastest `forward`", "times plain", "times plain, doubled batch"]
    head += ["times a loop by hand"]
    return "\n".join([markdown(head, lines), "", *machines(rows)])


def time(row: Row) -> str:
    middle, low, high = (float(row[f"milliseconds{end}"]) for end in ("", "_p10", "_p90"))
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def ratio(row: Row, name: str) -> str:
    """Shows a ratio with its spread, nothing where it was not measured."""
    parts = [row.get(name + end) or "" for end in ("", " p10", " p90")]
    if not all(parts):
        return ""
    middle, low, high = map(float, parts)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def machines(rows: list[Row]) -> list[str]:
    """Says what the figures were measured on, once for each machine and number of rounds."""
    return list(dict.fromkeys(provenance(row) for row in rows))


def provenance(row: Row) -> str:
    names = ("jax", "torch", "ctranslate2")
    others = "".join(f", {name} {row[name]}" for name in names if row.get(name))
    rounds = f"{row['rounds']} rounds in turns on" if "rounds" in row else "On"
    shown = "; ratios are taken round by round" if "rounds" in row else ""
    return (
        f"{rounds} {row['cores']} cores ({row['processor']}), Python {row['python']}, keras "
        f"{row['keras']}, tensorflow {row['tensorflow']}{others}{shown}."
    )


def draw(found: dict[str, list[Row]], folder: Path) -> None:
    """Draws the plots of what was measured, where matplotlib is installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no plots: matplotlib is not installed", file=sys.stderr)
        return
    for name, plot in PLOTS.items():
        if found.get(name):
            figure = Figure(figsize=(11, 4), layout="constrained")
            plot(figure, found[name])
            # Without the version of matplotlib, the same figures make the same file.
            figure.savefig(folder / f"{name}.png", dpi=80, metadata={"Software": None})


def draw_steps(figure: Any, rows: list[Row]) -> None:
    """Bars of the times of each way, one panel for each model."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    for axes, model in zip(figure.subplots(1, len(models), squeeze=False)[0], models, strict=True):
        of = [row for row in rows if row["model"] == model]
        axes.barh([row["way"] for row in of], [float(row["milliseconds"]) for row in of])
        axes.invert_yaxis()
        axes.set(title=model, xlabel="ms a step")


def draw_memory(figure: Any, rows: list[Row]) -> None:
    """Bars of the memory of each loss, one panel for each vocabulary."""
    sizes = list(dict.fromkeys(row["classes"] for row in rows))
    for axes, classes in zip(figure.subplots(1, len(sizes), squeeze=False)[0], sizes, strict=True):
        of = [row for row in rows if row["classes"] == classes]
        names = [f"{row['way']}, {row['mode']}" for row in of]
        axes.barh(names, [float(row["megabytes"]) for row in of])
        axes.invert_yaxis()
        axes.set(title=f"{int(classes):,} classes", xlabel="peak above idle, MB")


def draw_sweeps(figure: Any, rows: list[Row]) -> None:
    """The ratio to plain over the values of each sweep."""
    rows = [row for row in rows if row["way"] != "plain" and "rule" not in row["value"]]
    sweeps = list(dict.fromkeys(row["sweep"] for row in rows))
    columns = -(-len(sweeps) // 2)
    figure.set_size_inches(4 * columns, 7)
    panels = figure.subplots(2, columns, squeeze=False).ravel()
    for axes in panels[len(sweeps) :]:
        axes.remove()
    for axes, sweep in zip(panels, sweeps, strict=False):
        of = [row for row in rows if row["sweep"] == sweep]
        for mode in dict.fromkeys(row["mode"] for row in of):
            points = [row for row in of if row["mode"] == mode]
            values = [row["value"].split(" (")[0] for row in points]
            axes.plot(values, [float(row["over plain"]) for row in points], "o-", label=mode)
        axes.set(title=sweep, ylabel="times plain")
        axes.tick_params(axis="x", labelrotation=30)
        axes.legend()


Content = Callable[[list[Row]], str]
DOCUMENTS: dict[Path, dict[str, tuple[str, Content]]] = {
    COST: {
        "step.csv": ("step", step_tables),
        "prefix.csv": ("prefix", prefix_table),
        "head_cost.csv": ("head_cost", head_table),
        "head_memory.csv": ("head_memory", memory_table),
        "sweep.csv": ("sweep", sweep_tables),
        "translation.csv": ("translation", translation_table),
        "decoding.csv": ("decoding", decoding_table),
        "accelerator.csv": ("accelerator", accelerator_table),
    },
    SCALE: {
        "exactness.csv": ("exactness", exactness_table),
        "faults.csv": ("faults", faults_table),
        "pipeline.csv": ("pipeline", pipeline_table),
        "scaling.csv": ("scaling", scaling_tables),
        "scaling_prediction.csv": ("scaling_prediction", prediction_table),
    },
    README: {"cost": ("step", summary)},
}
PLOTS: dict[str, Callable[[Any, list[Row]], None]] = {
    "step": draw_steps,
    "head_memory": draw_memory,
    "sweep": draw_sweeps,
}


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
