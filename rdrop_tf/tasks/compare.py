"""Does R-Drop help on this data? Several alphas, each over the same seeds."""

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks.comparison import Comparison, summarise
from rdrop_tf.tasks.environment import describe_environment
from rdrop_tf.tasks.plots import plot_curves
from rdrop_tf.tasks.progress import Progress
from rdrop_tf.tasks.registry import make_task
from rdrop_tf.tasks.report import report
from rdrop_tf.tasks.run_folder import EpochCurves, RunFolder, read_columns, write_rows
from rdrop_tf.tasks.task import Task
from rdrop_tf.tasks.train import RunResult, train, work_of_an_epoch


def compare(
    recipe: Recipe,
    *,
    alphas: Sequence[float],
    seeds: Sequence[int],
    folder: Path,
    progress: Progress | None = None,
) -> Comparison:
    """Trains every alpha with every seed and compares them, seed by seed.

    Runs of one seed share their data, initial weights, order of batches and number of epochs;
    only alpha differs. The test part is used once a run, after its last epoch.

    Args:
        recipe: What to train.
        alphas: Two or more, all different; the first is the baseline.
        seeds: Two or more, all different.
        folder: A new or empty folder; each run's own folder goes inside.
        progress: What to advance; its total is `work_of_a_comparison`.

    Returns:
        What was found, as in the folder's `result.json`.

    Raises:
        ValueError: If there are too few alphas or seeds, one comes twice, or the folder holds
            something.
    """
    _check_several("alphas", alphas)
    _check_several("seeds", seeds)
    home = RunFolder.create(folder)
    task = make_task(recipe)
    environment = describe_environment()
    home.write_json("environment.json", environment)
    home.write_json(
        "config.json", {"recipe": recipe.as_dict(), "alphas": list(alphas), "seeds": list(seeds)}
    )
    started = time.monotonic()
    if progress is not None:
        progress.say(task.about_data())
    runs = _train_all(task, alphas, seeds, folder, progress)
    seconds = time.monotonic() - started

    comparison = summarise(task, task.splits().test.rows, runs)
    home.write_json(
        "result.json", {**comparison.as_dict(), "seconds": seconds, "environment": environment}
    )
    (folder / "report.txt").write_text(report(comparison) + "\n", encoding="utf-8")
    plot_curves(
        home.plot,
        f"{recipe.name}: mean and range over {len(seeds)} seeds",
        task.metric,
        {alpha: [_curves(folder, alpha, seed) for seed in seeds] for alpha in alphas},
    )
    return comparison


def _train_all(
    task: Task,
    alphas: Sequence[float],
    seeds: Sequence[int],
    folder: Path,
    progress: Progress | None,
) -> list[RunResult]:
    """Trains seed by seed, so that what slows the machine down slows every alpha down."""
    runs: list[RunResult] = []
    for seed, alpha in itertools.product(seeds, alphas):
        result = train(
            task.recipe,
            task=task,
            alpha=alpha,
            seed=seed,
            folder=folder / run_name(alpha, seed),
            progress=progress,
            describe=_describer(len(runs) + 1, len(alphas) * len(seeds), alpha, seed),
        )
        runs.append(result)
        write_rows(folder / "runs.csv", [run.as_row() for run in runs])
    return runs


def work_of_a_comparison(recipe: Recipe, alphas: Sequence[float], seeds: Sequence[int]) -> float:
    """Returns the total of a comparison's progress.

    Args:
        recipe: What is trained.
        alphas: The alphas.
        seeds: The seeds.

    Returns:
        The sum over all epochs of all runs.
    """
    return recipe.epochs * len(seeds) * sum(work_of_an_epoch(alpha) for alpha in alphas)


def run_name(alpha: float, seed: int) -> str:
    """Names the folder of one run of a comparison.

    Args:
        alpha: The run's.
        seed: The run's.

    Returns:
        The name.

    Example:
    >>> run_name(0.5, 3)
    'alpha-0.5-seed-3'
    """
    return f"alpha-{alpha:.12g}-seed-{seed}"


def _curves(folder: Path, alpha: float, seed: int) -> EpochCurves:
    return read_columns(RunFolder(folder / run_name(alpha, seed)).epochs)


def _describer(number: int, count: int, alpha: float, seed: int) -> Callable[[int], str]:
    return lambda epoch: f"run {number} of {count}: alpha {alpha:g}, seed {seed}, epoch {epoch}"


def _check_several(name: str, values: Sequence[float]) -> None:
    if len(values) < 2 or len(set(values)) < len(values):
        listed = ", ".join(f"{value:g}" for value in values)
        raise ValueError(f"a comparison needs two or more different {name}; got {listed or 'none'}")
