"""How good a model is on a part of the data, in training and after it."""

from collections.abc import Mapping
from typing import Any

import keras

from rdrop_tf.tasks.parts import Part
from rdrop_tf.tasks.task import Task


def evaluate_part(model: keras.Model, task: Task, part: Part) -> dict[str, float]:
    """Works out a task's figures of a part, with one pass and without noise.

    Args:
        model: The model.
        task: Its task.
        part: What to evaluate on.

    Returns:
        The figures by name.
    """
    return dict(task.figures(*task.answers(model, part)))


class Validation(keras.callbacks.Callback):
    """Adds a part's figures to the logs of an epoch, with "val_" before their names.

    Keras' own validation averages over batches, which is wrong for a correlation or an F1;
    here the figures are worked out from all predictions at once.

    Args:
        task: The task.
        part: What to evaluate on.
        every: Evaluate at the end of every so many epochs, and of the last one.
    """

    def __init__(self, task: Task, part: Part, every: int) -> None:
        super().__init__()
        self.task = task
        self.part = part
        self.every = every

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates, where it is this epoch's turn."""
        done = epoch + 1
        if logs is not None and (done % self.every == 0 or done == self.params["epochs"]):
            logs.update(as_logs(evaluate_part(self.model, self.task, self.part)))


def as_logs(figures: Mapping[str, float]) -> dict[str, float]:
    """Names validation figures as Keras does."""
    return {f"val_{name}": value for name, value in figures.items()}
