"""Which class knows which kind of data."""

from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks.digits import Digits
from rdrop_tf.tasks.task import Task

TASKS: dict[str, type[Task]] = {"digits": Digits}


def make_task(recipe: Recipe) -> Task:
    """Makes the task of a recipe.

    Args:
        recipe: The recipe; its `task` names the class.

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
    return TASKS[recipe.task](recipe)
