from dataclasses import replace

import pytest

from rdrop_tf.recipes import DIGITS, RECIPES
from rdrop_tf.tasks import make_task
from rdrop_tf.tasks.registry import TASKS


def test_every_recipe_has_its_task() -> None:
    for recipe in RECIPES.values():
        assert make_task(recipe).recipe is recipe


def test_an_unknown_task_is_named() -> None:
    text = f"a recipe's task must be one of {', '.join(TASKS)}; got 'letters'"
    with pytest.raises(ValueError, match=text):
        make_task(replace(DIGITS, task="letters"))
