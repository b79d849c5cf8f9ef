"""A trained run's answers to lines of input."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras

from rdrop_tf.tasks.registry import task_of_run
from rdrop_tf.tasks.run_folder import RunFolder
from rdrop_tf.tasks.task import Task


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
    task = task_of_run(run)
    rows = [_read(task, number, line) for number, line in enumerate(lines, start=1)]
    if not rows:
        return []
    model = keras.saving.load_model(run.checkpoint("last"), compile=False)
    batch = task.evaluation_batch
    return task.write_lines(model.predict(task.inputs(rows), batch_size=batch, verbose=0))


def _read(task: Task, number: int, line: str) -> Any:
    try:
        return task.read_line(line)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error
