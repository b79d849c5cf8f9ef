"""The paper's settings, written out once more (arXiv 2106.14448, appendix)."""

import pytest

from rdrop_tf.recipes import RECIPES, find_recipe
from rdrop_tf.recipes.recipe import Optimizer
from rdrop_tf.tasks.glue import find_glue_dataset

# Data set: alpha, batch, updates, warm-up; rows of the official training file.
TABLE = {
    "CoLA": (0.5, 16, 5336, 320, 8551),
    "MRPC": (1.0, 16, 2296, 137, 3668),
    "RTE": (1.0, 8, 3120, 122, 2490),
    "SST-2": (1.0, 32, 20935, 1256, 67349),
    "MNLI": (0.5, 32, 123873, 7432, 392702),
    "QNLI": (1.0, 32, 33112, 1986, 104743),
    "QQP": (0.5, 32, 113272, 28318, 363846),
    "STS-B": (1.0, 16, 3598, 214, 5749),
}

# Development part: BERT-base and RoBERTa-large, each without and with R-Drop.
RESULTS = {
    "MNLI": ("83.8, with R-Drop 85.5", "90.2, with R-Drop 90.9"),
    "MRPC": ("85.3, with R-Drop 87.3", "90.9, with R-Drop 91.4"),
    "QNLI": ("90.8, with R-Drop 92.0", "94.7, with R-Drop 95.2"),
    "QQP": ("91.0, with R-Drop 91.4", "92.2, with R-Drop 92.5"),
    "RTE": ("68.2, with R-Drop 71.1", "86.6, with R-Drop 88.4"),
    "SST-2": ("92.4, with R-Drop 93.0", "96.4, with R-Drop 96.9"),
    "STS-B": ("89.3, with R-Drop 89.6", "92.4, with R-Drop 92.5"),
    "CoLA": ("62.3, with R-Drop 62.6", "68.0, with R-Drop 70.0"),
}

ENCODERS = {"bert-base": "bert_base_en_uncased", "roberta-large": "roberta_large_en"}


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("glue_task", TABLE)
def test_a_recipe_is_the_papers(glue_task: str, encoder: str) -> None:
    alpha, batch_size, updates, warmup, rows = TABLE[glue_task]
    recipe = find_recipe(f"{glue_task.lower()}-{encoder}")
    assert (recipe.alpha, recipe.batch_size) == (alpha, batch_size)
    assert recipe.epochs * rows / batch_size == pytest.approx(updates, rel=0.03)
    assert recipe.optimizer == Optimizer(
        learning_rate=1e-5,
        name="adam",
        schedule="linear",
        warmup=warmup / updates,
        beta_1=0.9,
        beta_2=0.98,
        epsilon=1e-6,
        weight_decay=0.01,
    )
    assert recipe.data["glue_task"] == glue_task
    assert recipe.model["preset"] == ENCODERS[encoder]
    assert recipe.paper.endswith(RESULTS[glue_task][list(ENCODERS).index(encoder)])


@pytest.mark.parametrize("encoder", ENCODERS)
def test_wnli_which_the_paper_leaves_out_says_so(encoder: str) -> None:
    recipe, like = find_recipe(f"wnli-{encoder}"), find_recipe(f"rte-{encoder}")
    assert recipe.data["glue_task"] == "WNLI"
    assert recipe.paper.startswith("not a data set of the paper")
    assert (recipe.alpha, recipe.optimizer, recipe.model) == (
        like.alpha,
        like.optimizer,
        like.model,
    )


def test_sources_name_the_set_of_tensorflow_datasets() -> None:
    for recipe in RECIPES.values():
        if recipe.task == "glue":
            name = find_glue_dataset(recipe.data["glue_task"]).tfds_name
            assert f"tensorflow-datasets (glue/{name})" in recipe.source
