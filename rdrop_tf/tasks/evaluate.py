"""The figures of a trained run, computed again from its checkpoints."""

from pathlib import Path
from typing import NamedTuple

import keras

from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks.registry import make_task
from rdrop_tf.tasks.run_folder import RunFolder
from rdrop_tf.tasks.task import Metric
from rdrop_tf.tasks.train import score

CHECKPOINTS = ("last", "best")


class Evaluation(NamedTuple):
    """The metric and, for each checkpoint, its value on "validation" and "test"."""

    metric: Metric
    figures: dict[str, dict[str, float]]


def evaluate(folder: Path) -> Evaluation:
    """Evaluates both checkpoints of a run on the validation and the test part.

    Args:
        folder: A folder that `train` wrote.

    Returns:
        The figures of "last" and "best".

    Raises:
        ValueError: If the folder is no finished run.
    """
    run = RunFolder.open(folder)
    task = make_task(Recipe.from_dict(run.read_json("config.json")["recipe"]))
    _, validation, test = task.splits()
    figures = {}
    for which in CHECKPOINTS:
        model = keras.saving.load_model(run.checkpoint(which))
        figures[which] = {
            "validation": score(model, task, validation),
            "test": score(model, task, test),
        }
    return Evaluation(task.metric, figures)
