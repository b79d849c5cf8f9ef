"""The figures of a trained run, computed again from its checkpoints."""

from pathlib import Path

import keras

from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks.registry import make_task
from rdrop_tf.tasks.run_folder import RunFolder
from rdrop_tf.tasks.train import score

CHECKPOINTS = ("last", "best")


def evaluate(folder: Path) -> dict[str, dict[str, float]]:
    """Evaluates both checkpoints of a run on the validation and the test part.

    Args:
        folder: A folder that `train` wrote.

    Returns:
        For "last" and "best" the metric on "validation" and "test".

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
    return figures
