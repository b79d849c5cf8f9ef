"""Does R-Drop help on real data? Every run a row of a csv, so it can stop and go on.

    python -m benchmarks.quality run --data DIR --preset DIR              # on this machine
    python -m benchmarks.quality prepare --data DIR --preset DIR --into DIR
    python -m benchmarks.quality run --prepared DIR --workers 8           # without TensorFlow

Each study has three stages. "rate" chooses the learning rate of ordinary training (alpha 0), where
a study tries several, and "alpha" that of R-Drop at this rate, both by the mean validation figure
over seeds that no report has. "report" trains alpha 0, the chosen alpha, and alpha 0 for twice
the epochs (the most that two passes can cost) over the seeds of the study, and its test figures
are what is reported.
`python tools/quality_tables.py` makes the tables. `--smoke` runs a few steps of each.
"""

import argparse
import csv
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "quality.csv"
CHOICE_SEEDS = (100, 101)
FIELDS = (
    "study",
    "stage",
    "alpha",
    "learning_rate",
    "epochs",
    "seed",
    "metric",
    "validation",
    "test",
    "figures",
    "probe_kl",
    "milliseconds_per_step",
    "seconds",
    "device",
    "backend",
    "keras",
    "rdrop_tf",
)
KEY = ("study", "stage", "alpha", "learning_rate", "epochs", "seed")


@dataclass(frozen=True)
class Run:
    """One training run, and where its data lie."""

    study: str
    stage: str
    alpha: float
    learning_rate: float
    epochs: int
    seed: int
    data: str | None
    preset: str | None
    prepared: str | None
    smoke: bool

    @property
    def key(self) -> tuple[str, ...]:
        """What tells runs apart, as the csv writes it."""
        return tuple(str(getattr(self, name)) for name in KEY)


def main(argv: Sequence[str] | None = None) -> None:
    args = _parser().parse_args(argv)
    if args.command == "prepare":
        from benchmarks.quality_studies import write_prepared

        write_prepared(args.into, args.data, args.preset)
        return
    deadline = time.monotonic() + 60 * args.minutes
    if args.prepared:
        from benchmarks.quality_studies import ENCODER, restore_encoder

        if (args.prepared / ENCODER).exists():
            # In a process of its own: this one must not take the accelerator's memory.
            process = multiprocessing.get_context("spawn").Process(
                target=restore_encoder, args=(args.prepared / ENCODER,)
            )
            process.start()
            process.join()
    with multiprocessing.get_context("spawn").Pool(args.workers, _begin_worker) as pool:
        for stage in args.stages:
            missing = _missing(args, stage)
            print(f"{stage}: {len(missing)} runs to do", flush=True)
            for row in _in_time(pool.imap_unordered(train_once, missing), deadline):
                _append(args.out, row)
                print(*(row[name] for name in (*KEY, "validation", "test")), flush=True)
        pool.terminate()


def _missing(args: argparse.Namespace, stage: str) -> list[Run]:
    from benchmarks.quality_studies import STUDIES

    rows = read_rows(args.out)
    done = {tuple(row[name] for name in KEY) for row in rows}
    runs = [run for name in args.studies or STUDIES for run in _plan(args, name, stage, rows)]
    # Studies in turns: where time runs out, each has something.
    runs.sort(key=lambda run: run.seed)
    return [run for run in runs if run.key not in done]


def _plan(args: argparse.Namespace, name: str, stage: str, rows: list[dict[str, str]]) -> list[Run]:
    from benchmarks.quality_studies import STUDIES
    from rdrop_tf.recipes import find_recipe

    study = STUDIES[name]
    epochs = study.epochs or find_recipe(study.recipe).epochs

    def run(alpha: float, rate: float, epochs: int, seed: int) -> Run:
        return Run(
            name,
            stage,
            float(alpha),
            rate,
            epochs,
            seed,
            _text(args.data),
            args.preset,
            _text(args.prepared),
            args.smoke,
        )

    if stage == "rate" and len(study.learning_rates) == 1:
        return []
    if stage == "rate":
        return [
            run(0.0, rate, epochs, seed) for rate in study.learning_rates for seed in CHOICE_SEEDS
        ]
    rate = best(rows, name, "rate", "learning_rate")
    if len(study.learning_rates) == 1:
        rate = study.learning_rates[0]
    if rate is None:
        return []
    if stage == "alpha":
        seeds = CHOICE_SEEDS[: study.choice_seeds]
        return [run(alpha, rate, epochs, seed) for alpha in study.alphas for seed in seeds]
    alpha = study.reported or best(rows, name, "alpha", "alpha")
    if alpha is None:
        return []
    arms = ((0.0, epochs), (alpha, epochs), (0.0, 2 * epochs))
    return [
        run(alpha, rate, epochs, seed)
        for alpha, epochs in arms
        for seed in range(args.seeds or study.seeds)
    ]


def best(rows: list[dict[str, str]], study: str, stage: str, setting: str) -> float | None:
    """Returns the setting with the best mean validation figure; None before its runs.

    Of equal ones the smallest counts.
    """
    values: dict[float, list[float]] = {}
    for row in rows:
        if (row["study"], row["stage"]) == (study, stage):
            values.setdefault(float(row[setting]), []).append(float(row["validation"]))
    if not values:
        return None
    return max(sorted(values), key=lambda value: statistics.fmean(values[value]))


def train_once(run: Run) -> dict[str, Any]:
    """Trains one run in this process and returns its row."""
    import keras

    from benchmarks.quality_studies import STUDIES, prepared_task, recipe_of
    from rdrop_tf import __version__
    from rdrop_tf.tasks import make_task, train
    from rdrop_tf.tasks.environment import describe_environment

    study = STUDIES[run.study]
    recipe = recipe_of(study, Path(run.data or "."), run.preset, epochs=run.epochs)
    optimizer = replace(recipe.optimizer, learning_rate=run.learning_rate)
    # Validation and the consistency of two passes are looked at once, at the end.
    recipe = replace(recipe, optimizer=optimizer, validate_every=10**6, probe_every=10**6)
    if run.smoke:
        few = {"rows": 64} | ({"vocabulary": 400} if "vocabulary" in recipe.data else {})
        recipe = replace(recipe, epochs=1, data={**recipe.data, **few})
    if run.prepared and recipe.task != "translation":
        task = prepared_task(run.study, Path(run.prepared), recipe)
    else:
        task = make_task(recipe)
    with tempfile.TemporaryDirectory() as folder:
        result = train(
            recipe,
            alpha=run.alpha,
            seed=run.seed,
            folder=Path(folder),
            task=task,
            checkpoints=False,
        )
    environment = describe_environment()
    return {
        **{name: getattr(run, name) for name in KEY},
        "metric": task.metric.name,
        "validation": result.validation,
        "test": result.test,
        "figures": json.dumps(result.test_figures),
        "probe_kl": result.probe_kl,
        "milliseconds_per_step": round(result.milliseconds_per_step, 3),
        "seconds": round(result.seconds, 1),
        "device": environment["devices"][0],
        "backend": environment["backend"],
        "keras": keras.__version__,
        "rdrop_tf": __version__,
    }


def read_rows(path: Path) -> list[dict[str, str]]:
    """Reads the rows that are there."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _append(path: Path, row: dict[str, Any]) -> None:
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def _in_time(results: Any, deadline: float) -> Iterable[dict[str, Any]]:
    """Yields results until there are none or the time is over."""
    while True:
        try:
            yield results.next(timeout=max(0.1, deadline - time.monotonic()))
        except StopIteration:
            return
        except multiprocessing.TimeoutError:
            print("time is over; the rows so far stay", flush=True)
            raise SystemExit(0) from None


def _begin_worker() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Several workers share one accelerator, and compile the same programs.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", tempfile.gettempdir() + "/xla-cache")


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="arrays for a machine without tokenizers")
    prepare.add_argument("--into", type=Path, required=True)
    prepare.add_argument("--data", type=Path, required=True, help="holds glue/ and cifar100/")
    prepare.add_argument("--preset", required=True, help="a text encoder's folder")
    run = commands.add_parser("run", help="train what is missing")
    run.add_argument("--data", type=Path)
    run.add_argument("--preset")
    run.add_argument("--prepared", type=Path)
    run.add_argument("--out", type=Path, default=RESULTS)
    run.add_argument("--studies", nargs="*")
    run.add_argument("--stages", nargs="*", default=["rate", "alpha", "report"])
    run.add_argument("--seeds", type=int, help="seeds of the report; default: the study's")
    run.add_argument("--workers", type=int, default=1)
    run.add_argument("--minutes", type=float, default=1e6)
    run.add_argument("--smoke", action="store_true")
    return parser


if __name__ == "__main__":
    main()
