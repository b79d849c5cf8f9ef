"""Which class knows which kind of data."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks.run_folder import RunFolder
from rdrop_tf.tasks.task import Task

# By module and name, so that one task's packages are not needed for another's.
TASKS = {
    "digits": ("rdrop_tf.tasks.digits", "Digits"),
    "images": ("rdrop_tf.tasks.images.task", "Images"),
    "glue": ("rdrop_tf.tasks.glue.task", "Glue"),
    "translation": ("rdrop_tf.tasks.translation.task", "Translation"),
}


def make_task(recipe: Recipe, kept: Path | None = None) -> Task:
    """Makes the task of a recipe.

    Args:
        recipe: The recipe; its `task` names the class.
        kept: The folder of a run of it, for a task that only answers lines.

    Returns:
        The task with the recipe's settings.

    Raises:
        ValueError: If there is no task of that name.

    Example:
    >>> from rdrop_tf.recipes import DIGITS
    >>> make_task(DIGITS).metric.name
    'accuracy'
    """
    if recipe.task not in TASKS:
        raise ValueError(f"a recipe's task must be one of {', '.join(TASKS)}; got {recipe.task!r}")
    module, name = TASKS[recipe.task]
    task: Task = getattr(import_module(module), name)(recipe, kept)
    return task


def task_of_run(run: RunFolder, data: str | None = None) -> Task:
    """Makes the task of a run, as it was trained.

    Args:
        run: The run's folder.
        data: Where its data lie now; None where the run found them.

    Returns:
        The task.
    """
    recipe = Recipe.from_dict(run.read_json("config.json")["recipe"])
    if data is not None:
        recipe = replace(recipe, data={**recipe.data, "folder": data})
    return make_task(recipe, run.path)
