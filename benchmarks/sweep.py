"""How the cost of the vocabulary head and of a step changes with the sizes.

    python -m benchmarks.sweep                     about 8 minutes on 2 cores
    python -m benchmarks.sweep --only chunk_size   one sweep; the others' rows are kept
    python -m benchmarks.sweep --smoke             seconds

- chunk_size: rows of each pass that `linear_rdrop` takes at a time, for three vocabularies; behind
  the rule that chooses them;
- vocabulary: classes, with so many rows that the logits stay near the same size;
- rows: rows of each pass;
- passes: passes of `linear_rdrop`, over plain cross-entropy of the rows of all passes;
- step_passes and every: `RDropModel` on the language model, over plain Keras on the batch.

All points of a sweep take turns. Writes benchmarks/results/sweep.csv.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks import report
from benchmarks.heads import MODES, Sizes, head, linear, plain
from benchmarks.timing import interleaved
from rdrop_tf.losses.chunk_size import chunk_size

# A sweep, its value, the way, the mode.
Point = tuple[str, str, str, str]
Ways = dict[Point, Callable[[], object]]
CHUNKS = {
    Sizes(2048, 256, 2_000): (32, 64, 128, 256, 512, 1024, 2048),
    Sizes(2048, 512, 10_000): (16, 32, 64, 128, 256, 512, 1024),
    Sizes(256, 256, 64_000): (8, 16, 32, 64, 128, 256),
}
VOCABULARIES = tuple(
    Sizes(min(4096, 8_000_000 // classes), 256, classes)
    for classes in (1_000, 4_000, 16_000, 64_000, 256_000)
)
ROWS = tuple(Sizes(rows, 256, 10_000) for rows in (64, 256, 1024, 4096))
PASSES = tuple(Sizes(1024, 256, 10_000, passes) for passes in (1, 2, 3, 4))
SMOKE = (Sizes(8, 4, 10), Sizes(9, 4, 20))


def main(argv: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=12)
    options.add_argument("--only", choices=sorted(SWEEPS), nargs="*", default=sorted(SWEEPS))
    options.add_argument("--smoke", action="store_true")
    options.add_argument("--out", type=Path, default=report.RESULTS / "sweep.csv")
    chosen = options.parse_args(argv)
    rows: list[report.Row] = []
    if chosen.out.exists() and not chosen.smoke:
        rows = [dict(row) for row in report.read(chosen.out) if row["sweep"] not in chosen.only]
    beside = report.machine("tensorflow")
    for name in chosen.only:
        for ways in SWEEPS[name](chosen.smoke):
            found = measure(ways, 2 if chosen.smoke else chosen.rounds)
            # A row that is kept was measured on a machine of its own.
            rows += [row | beside for row in found]
    report.write(chosen.out, rows, {})


def measure(ways: Ways, rounds: int) -> list[report.Row]:
    """Times points in turns, prints and returns their rows."""
    times = interleaved(ways, rounds, repeats=1)
    rows = []
    for point in times:
        sweep, value, way, mode = point
        of_value = {p[1]: p for p in times if p[2] == "plain" and p[3] == mode}
        # Where plain does not depend on the value, it is timed once, under none.
        row = {"sweep": sweep, "value": value, "way": way, "mode": mode}
        bases = {"plain": of_value.get(value, of_value.get("", point))}
        row |= report.timed(times, point, bases)
        rows.append(row)
        print(
            f"{sweep:12s} {value:24s} {way:14s} {mode:6s} {row['milliseconds']:8.1f} ms "
            f"{row['over plain']:.2f} x plain"
        )
    return rows


def chunk_sizes(smoke: bool) -> Iterator[Ways]:
    cases = {SMOKE[0]: (2, 8)} if smoke else CHUNKS
    for sizes, chunks in cases.items():
        tensors, ways = sizes.tensors(), Ways()
        own = chunk_size(sizes.passes, sizes.classes, sizes.rows)
        name = f"chunk_size, {sizes.classes:,} classes"
        for mode, xla in MODES.items():
            ways[name, "", "plain", mode] = head(plain, tensors, xla)
            for chunk in chunks:
                ways[name, str(chunk), "linear_rdrop", mode] = head(linear(chunk), tensors, xla)
            ways[name, f"{own} (the rule)", "linear_rdrop", mode] = head(linear(), tensors, xla)
        yield ways


def head_sweep(
    name: str, cases: tuple[Sizes, ...], value: Callable[[Sizes], str]
) -> Callable[[bool], Iterator[Ways]]:
    """Makes a sweep of plain cross-entropy and `linear_rdrop` over sizes."""

    def sweep(smoke: bool) -> Iterator[Ways]:
        ways: Ways = {}
        for sizes in SMOKE if smoke else cases:
            tensors = sizes.tensors()
            for mode, xla in MODES.items():
                ways[name, value(sizes), "plain", mode] = head(plain, tensors, xla)
                ways[name, value(sizes), "linear_rdrop", mode] = head(linear(), tensors, xla)
        yield ways

    return sweep


def step_sweep(name: str, values: tuple[int, ...]) -> Callable[[bool], Iterator[Ways]]:
    """Makes a sweep of an argument of `RDropModel` on the language model."""

    def sweep(smoke: bool) -> Iterator[Ways]:
        from benchmarks import models, step

        workload = (models.SMOKE if smoke else models.WORKLOADS)["lm"]
        batch = workload.batch()
        # The period of `every`, so that each figure is a mean over whole periods.
        period = max(values) if name == "every" else 1
        ways: Ways = {
            (name, "", "plain", "step"): several(step.keras_step(workload.build(), batch), period)
        }
        for value in values[:2] if smoke else values:
            model = workload.rdrop(**{"every" if name == "every" else "passes": value})
            way = several(step.keras_step(model, batch), period)
            ways[name, str(value), "RDropModel", "step"] = way
        yield ways

    return sweep


def several(way: Callable[[], object], times: int) -> Callable[[], object]:
    return lambda: [way() for _ in range(times)]


SWEEPS: dict[str, Callable[[bool], Iterator[Ways]]] = {
    "chunk_size": chunk_sizes,
    "vocabulary": head_sweep(
        "vocabulary", VOCABULARIES, lambda s: f"{s.classes:,} ({s.rows:,} rows)"
    ),
    "rows": head_sweep("rows", ROWS, lambda s: f"{s.rows:,}"),
    "passes": head_sweep("passes", PASSES, lambda s: str(s.passes)),
    "step_passes": step_sweep("step_passes", (2, 3, 4)),
    "every": step_sweep("every", (1, 2, 4)),
}


if __name__ == "__main__":
    main()
