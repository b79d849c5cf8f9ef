"""The figures of a trained run, computed again from its checkpoints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rdrop_tf.tasks.registry import task_of_run
from rdrop_tf.tasks.run_folder import RunFolder
from rdrop_tf.tasks.task import Metric
from rdrop_tf.tasks.validation import evaluate_part

CHECKPOINTS = ("last", "best")


class Evaluation(NamedTuple):
    """All figures of each checkpoint on "validation", "test" and the data's further parts.

    `metrics` says how people read them, the main one first. `notes` are lines on the test part's
    figures of the last weights: intervals, signatures, the test against another run.
    """

    metrics: Sequence[Metric]
    figures: Mapping[str, Mapping[str, Mapping[str, float]]]
    notes: Sequence[str] = ()


def evaluate(folder: Path, against: Path | None = None, data: str | None = None) -> Evaluation:
    """Evaluates both checkpoints of a run on every part but the training part.

    Args:
        folder: A folder that `train` wrote.
        against: The folder of another run, whose last weights are compared with this one's on the
            test part, example by example.
        data: Where the data lie now; None where the runs found them.

    Returns:
        The figures of "last" and "best".

    Raises:
        ValueError: If a folder is no finished run, the task has no paired test, or the runs were
            tested on different examples.
    """
    run = RunFolder.open(folder)
    task = task_of_run(run, data)
    splits = task.splits()
    parts = {"validation": splits.validation, "test": splits.test, **splits.more}
    figures, notes = {}, list[str]()
    for which in CHECKPOINTS:
        model = run.load(which)
        figures[which] = {name: evaluate_part(model, task, part) for name, part in parts.items()}
        if which == "last":
            y, predictions = task.answers(model, splits.test)
            notes += task.notes(y, predictions)
            if against is not None:
                notes += task.difference(y, predictions, _answers_of(against, data, y))
    # A further part's own figures stand in that part's column already.
    known = figures["last"]["test"]
    shown = [metric for metric in [task.metric, *task.more_metrics] if metric.name in known]
    return Evaluation(shown, figures, notes)


def _answers_of(folder: Path, data: str | None, expected: NDArray[Any]) -> NDArray[Any]:
    """Returns another run's answers to the same test part."""
    run = RunFolder.open(folder)
    task = task_of_run(run, data)
    y, predictions = task.answers(run.load("last"), task.splits().test)
    if not np.array_equal(y, expected):
        raise ValueError(
            f"two runs must be tested on the same examples; got {str(folder)!r}, whose recipe is "
            f"{task.recipe.name!r} with {len(y)} others"
        )
    return predictions
