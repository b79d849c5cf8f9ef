from dataclasses import replace

import pytest

from rdrop_tf.recipes import DIGITS, RECIPES
from rdrop_tf.tasks import make_task


def test_every_recipe_has_its_task() -> None:
    for recipe in RECIPES.values():
        assert make_task(recipe).recipe is recipe


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(ValueError, match="a recipe's task must be one of digits; got 'letters'"):
        make_task(replace(DIGITS, task="letters"))
