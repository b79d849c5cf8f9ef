"""The paper's settings, written out once more (arXiv 2106.14448, section 3.1 and appendix)."""

import json

import pytest

from rdrop_tf.recipes import Optimizer, Recipe
from rdrop_tf.recipes.translation import TRANSLATION

NAMED = {recipe.name: recipe for recipe in TRANSLATION}

# Name: BLEU without and with R-Drop.
IWSLT = {
    "iwslt14/de-en": (34.64, 37.25),
    "iwslt14/en-de": (28.57, 30.72),
    "iwslt14/es-en": (40.6, 43.2),
    "iwslt14/en-es": (39.0, 41.8),
    "iwslt17/fr-en": (36.1, 38.9),
    "iwslt17/en-fr": (35.9, 38.0),
    "iwslt17/zh-en": (18.4, 19.5),
    "iwslt17/en-zh": (26.3, 28.1),
}
# Name: BLEU, beams, length penalty.
WMT = {"wmt14/en-de": (29.12, 30.91, 4, 0.6), "wmt14/en-fr": (42.69, 43.95, 5, 1.0)}
MULTI30K = ("multi30k/en-de", "multi30k/de-en")


def test_all_directions_are_there_once() -> None:
    assert [recipe.name for recipe in TRANSLATION] == [*MULTI30K, *IWSLT, *WMT]


@pytest.mark.parametrize("name", IWSLT)
def test_iwslt(name: str) -> None:
    recipe, (baseline, rdrop) = NAMED[name], IWSLT[name]
    german, chinese = "de" in name.split("/")[1], "zh" in name
    assert recipe.alpha == 5
    assert recipe.optimizer == Optimizer(
        learning_rate=5e-4,
        schedule="inverse_square_root",
        warmup=4000,
        beta_2=0.98,
        epsilon=1e-8,
        weight_decay=1e-4,
    )
    assert recipe.batch_size == 4096
    assert recipe.data["vocabulary"] == 10_000
    assert recipe.data["joint"] is not chinese
    assert recipe.data["lower"]
    assert recipe.data["metric"] == ("tokenized_bleu" if german else "sacrebleu")
    assert recipe.paper.endswith(f"BLEU {baseline}, with R-Drop {rdrop}")
    model = recipe.model
    assert (model["size"], model["label_smoothing"]) == ("iwslt", 0.1)
    assert (model["beams"], model["length_penalty"]) == (5, 1.0)


@pytest.mark.parametrize("name", WMT)
def test_wmt(name: str) -> None:
    recipe, (baseline, rdrop, beams, penalty) = NAMED[name], WMT[name]
    optimizer, model = recipe.optimizer, recipe.model
    assert (recipe.alpha, recipe.data["vocabulary"], recipe.data["joint"]) == (5, 32_000, True)
    assert recipe.batch_size * optimizer.accumulation == 65_536
    assert (optimizer.learning_rate, optimizer.schedule) == (1e-3, "inverse_square_root")
    assert optimizer.warmup / optimizer.accumulation == 6000
    assert recipe.paper == f"BLEU {baseline}, with R-Drop {rdrop}"
    assert (model["size"], model["beams"], model["length_penalty"]) == ("big", beams, penalty)
    rates = ("dropout", "attention_dropout", "activation_dropout")
    assert model["changes"] == dict.fromkeys(rates, 0.1)


@pytest.mark.parametrize("name", MULTI30K)
def test_multi30k(name: str) -> None:
    recipe = NAMED[name]
    assert (recipe.alpha, recipe.model["size"]) == (5, "tiny")
    assert recipe.paper == "not a data set of the paper"


@pytest.mark.parametrize("recipe", TRANSLATION, ids=NAMED)
def test_a_recipe_is_of_the_languages_in_its_name(recipe: Recipe) -> None:
    assert recipe.name.endswith(f"/{recipe.data['source']}-{recipe.data['target']}")
    assert Recipe.from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe
