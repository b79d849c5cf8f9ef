"""A trained run's answers to lines of input."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks.registry import make_task
from rdrop_tf.tasks.run_folder import RunFolder
from rdrop_tf.tasks.task import Task
from rdrop_tf.tasks.train import EVALUATION_BATCH


def predict(folder: Path, lines: Iterable[str]) -> Sequence[str]:
    """Predicts with a run's last weights.

    Args:
        folder: A folder that `train` wrote.
        lines: One input a line, in the task's form.

    Returns:
        One line for each.

    Raises:
        ValueError: If the folder is no finished run, or a line breaks the form; then nothing
            is predicted.
    """
    run = RunFolder.open(folder)
    task = make_task(Recipe.from_dict(run.read_json("config.json")["recipe"]))
    inputs = [_read(task, number, line) for number, line in enumerate(lines, start=1)]
    if not inputs:
        return []
    model = keras.saving.load_model(run.checkpoint("last"))
    return task.write_lines(model.predict(np.stack(inputs), batch_size=EVALUATION_BATCH, verbose=0))


def _read(task: Task, number: int, line: str) -> NDArray[Any]:
    try:
        return task.read_line(line)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error
