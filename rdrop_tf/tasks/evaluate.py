"""The figures of a trained run, computed again from its checkpoints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import keras

from rdrop_tf.tasks.registry import task_of_run
from rdrop_tf.tasks.run_folder import RunFolder
from rdrop_tf.tasks.task import Metric
from rdrop_tf.tasks.validation import evaluate_part

CHECKPOINTS = ("last", "best")


class Evaluation(NamedTuple):
    """All figures of each checkpoint on "validation", "test" and the data's further parts.

    `metrics` says how people read them, the main one first.
    """

    metrics: Sequence[Metric]
    figures: Mapping[str, Mapping[str, Mapping[str, float]]]


def evaluate(folder: Path) -> Evaluation:
    """Evaluates both checkpoints of a run on every part but the training part.

    Args:
        folder: A folder that `train` wrote.

    Returns:
        The figures of "last" and "best".

    Raises:
        ValueError: If the folder is no finished run.
    """
    run = RunFolder.open(folder)
    task = task_of_run(run)
    splits = task.splits()
    parts = {"validation": splits.validation, "test": splits.test, **splits.more}
    figures = {}
    for which in CHECKPOINTS:
        model = keras.saving.load_model(run.checkpoint(which), compile=False)
        figures[which] = {name: evaluate_part(model, task, part) for name, part in parts.items()}
    # A further part's own figures stand in that part's column already.
    known = figures["last"]["test"]
    shown = [metric for metric in [task.metric, *task.more_metrics] if metric.name in known]
    return Evaluation(shown, figures)
