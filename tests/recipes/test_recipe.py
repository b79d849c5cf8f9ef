import dataclasses
import json
from importlib import resources

import pytest

from rdrop_tf.recipes import DIGITS, RECIPES, Recipe, find_recipe, measured
from rdrop_tf.recipes.measured import FILES


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


def _kept() -> dict[str, list[str]]:
    files = [resources.files("rdrop_tf.recipes") / name for name in FILES]
    first, second = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    assert not first.keys() & second.keys()
    return first | second


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_was_measured_or_that_nothing_was(name: str) -> None:
    assert measured(name) == _kept().get(name, ["not measured here"])


@pytest.mark.parametrize(
    ("name", "figure"), [("mrpc-small", "accuracy"), ("sts-b-small", "pearson")]
)
def test_the_studies_of_real_data_are_shown(name: str, figure: str) -> None:
    figures, _ = measured(name)
    assert figures.startswith(f"{figure}, 5 seeds; alpha 0: 0.")
    assert f"; alpha {find_recipe(name).alpha:g}: 0." in figures


def test_figures_are_kept_of_recipes_alone() -> None:
    assert _kept().keys() <= RECIPES.keys()
