import dataclasses
import json

import pytest

from rdrop_tf.recipes import DIGITS, RECIPES, Recipe, find_recipe, measured


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_survives_json(recipe: Recipe) -> None:
    assert Recipe.from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DIGITS.alpha = 2.0  # type: ignore[misc]


def test_recipes_are_found_by_their_names() -> None:
    assert [find_recipe(name) for name in RECIPES] == list(RECIPES.values())


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(ValueError, match=r"a recipe must be one of digits; got 'digit'"):
        find_recipe("digit")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_was_measured(name: str) -> None:
    figures, provenance = measured(name)
    assert "seeds; alpha 0: " in figures
    assert provenance.startswith(f"rdrop compare {name} in ")
