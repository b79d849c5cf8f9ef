import json
from dataclasses import replace

from rdrop_tf.recipes import DIGITS, Recipe
from tools.choose_alpha import RESULTS, SEEDS, best_alpha


def test_the_recipes_alpha_is_the_one_that_was_chosen() -> None:
    assert best_alpha("digits") == DIGITS.alpha


def test_the_choice_was_made_with_the_recipes_other_settings() -> None:
    choice = json.loads((RESULTS / "digits-choice.json").read_text(encoding="utf-8"))
    assert replace(Recipe.from_dict(choice["recipe"]), alpha=DIGITS.alpha) == DIGITS


def test_the_runs_that_choose_are_not_those_that_report() -> None:
    report = json.loads((RESULTS / "digits.json").read_text(encoding="utf-8"))
    assert not set(SEEDS) & set(report["seeds"])
    assert Recipe.from_dict(report["recipe"]) == DIGITS
