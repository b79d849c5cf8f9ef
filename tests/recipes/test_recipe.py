import dataclasses
import json
from importlib import resources

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
    text = f"a recipe must be one of {', '.join(RECIPES)}; got 'digit'"
    with pytest.raises(ValueError, match=text):
        find_recipe("digit")


def test_the_default_job_was_measured() -> None:
    figures, provenance = measured("digits")
    assert "seeds; alpha 0: " in figures
    assert provenance.startswith("rdrop compare digits in ")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_was_measured_or_that_nothing_was(name: str) -> None:
    kept = json.loads((resources.files("rdrop_tf.recipes") / "measured.json").read_text())
    assert measured(name) == kept.get(name, ["not measured here"])


def test_figures_are_kept_of_recipes_alone() -> None:
    kept = json.loads((resources.files("rdrop_tf.recipes") / "measured.json").read_text())
    assert kept.keys() <= RECIPES.keys()
