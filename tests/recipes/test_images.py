from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf.recipes import RECIPES, Recipe
from rdrop_tf.recipes.images import IMAGES
from rdrop_tf.tasks import Examples, Splits
from rdrop_tf.tasks.images.task import Images
from rdrop_tf.training import make_optimizer

# Name, images, updates, accuracy without and with R-Drop: arXiv 2106.14448, table 4;
# 2010.11929, table 4.
PAPER = [
    ("cifar100-vit-base", 50_000, 10_000, 92.64, 93.29),
    ("cifar100-vit-large", 50_000, 10_000, 93.44, 93.85),
    ("imagenet-vit-base", 1_281_167, 20_000, 83.97, 84.38),
    ("imagenet-vit-large", 1_281_167, 20_000, 85.15, 85.57),
]
SMALL = [
    f"{data}-{network}"
    for data in ("cifar100", "cifar10")
    for network in ("vit-small", "wide-resnet")
]


def test_all_recipes_are_listed() -> None:
    assert {recipe.name for recipe in IMAGES} == {*SMALL, *(row[0] for row in PAPER)}
    assert all(RECIPES[recipe.name] is recipe for recipe in IMAGES)


@pytest.mark.parametrize(("name", "rows", "updates", "baseline", "rdrop"), PAPER)
def test_the_papers_settings(
    name: str, rows: int, updates: int, baseline: float, rdrop: float
) -> None:
    recipe = RECIPES[name]
    optimizer = recipe.optimizer
    assert (recipe.alpha, recipe.model["dropout"], recipe.data["image_size"]) == (0.6, 0.1, 384)
    assert (optimizer.name, optimizer.momentum, optimizer.clip_norm) == ("sgd", 0.9, 1.0)
    assert (optimizer.schedule, optimizer.learning_rate) == ("cosine", 1e-2)
    assert recipe.batch_size * optimizer.accumulation == 512
    assert recipe.paper == f"accuracy {baseline} %, with R-Drop {rdrop} %"
    # Whole epochs: within one half of an epoch of the updates, and the warm-up along with it.
    steps = recipe.epochs * -(-rows // recipe.batch_size)
    updates_of_run = steps / optimizer.accumulation
    assert abs(updates_of_run - updates) <= 0.5 * rows / 512 + 1
    assert optimizer.warmup * updates_of_run == pytest.approx(500, rel=0.01)


def test_the_rate_peaks_after_500_updates() -> None:
    recipe = RECIPES["cifar100-vit-base"]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    steps = recipe.epochs * -(-50_000 // recipe.batch_size)
    optimizer = make_optimizer(model, steps, **recipe.as_dict()["optimizer"])
    schedule = optimizer._learning_rate
    updates = [0, 250, 400, 495, 500, 505, 600, 5000, steps // 16]
    rates = [float(schedule(16 * update)) for update in updates]
    assert updates[int(np.argmax(rates))] in (495, 500, 505)
    np.testing.assert_allclose(rates[:5], [0, 5e-3, 8e-3, 9.9e-3, 1e-2], rtol=1e-2)
    assert rates[-1] == pytest.approx(0, abs=1e-6)


def test_the_presets_are_those_of_kerashub() -> None:
    keras_hub = pytest.importorskip("keras_hub")
    presets = {recipe.model["preset"] for recipe in IMAGES if "preset" in recipe.model}
    assert presets <= set(keras_hub.models.ViTBackbone.presets)
    assert len(presets) == 2


class _Blank32(Images):
    """The task with two blank images in place of its data."""

    def splits(self) -> Splits:
        part = Examples(np.zeros((2, 32, 32, 3), np.uint8), np.arange(2))
        return Splits(part, part, part)

    _num_classes: Any = 10


@pytest.mark.parametrize("name", SMALL)
def test_the_small_networks_are_built_and_small(name: str) -> None:
    recipe = RECIPES[name]
    model = _Blank32(recipe).model()
    assert recipe.data["image_size"] == 32, "or class folders would be read at another"
    assert recipe.data["most_classes"] == int(recipe.data["tfds"].removeprefix("cifar"))
    assert (model.input_shape, model.output_shape) == ((None, 32, 32, 3), (None, 10))
    assert 5e5 < model.count_params() < 1e6
    rates = {layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    assert rates == {recipe.model["dropout"]}


@pytest.mark.parametrize("recipe", IMAGES, ids=[recipe.name for recipe in IMAGES])
def test_the_augmentation_is_one_that_exists(recipe: Recipe) -> None:
    task = _Blank32(recipe)
    transform = task.transform(seed=0)
    assert transform is not None
    x, y = transform(*task.splits().train)
    assert x.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(y, [0, 1])
