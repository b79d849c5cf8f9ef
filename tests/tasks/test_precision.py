"""Runs in half precision: what computes in it, and what does not."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks import RunFolder, evaluate, make_task, train
from rdrop_tf.tasks.images.wide_resnet import wide_resnet
from rdrop_tf.tasks.precision import dtype_policy
from rdrop_tf.tasks.train import _compiled
from tests.tasks.translation import toy

pytestmark = pytest.mark.tensorflow


def _dtypes(model: keras.Model) -> set[tuple[str, str]]:
    """What the layers with weights compute in, and what their weights are."""
    layers = [layer for layer in model._flatten_layers() if layer.weights]
    return {(layer.compute_dtype, layer.variable_dtype) for layer in layers}


def _is_evaluated_as_it_was_tested(folder: Path, test: float) -> None:
    found = evaluate(folder)
    assert found.figures["last"]["test"][found.metrics[0].name] == test


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_a_run(dtype: str, tiny: Recipe, tmp_path: Path) -> None:
    recipe = replace(tiny, dtype=dtype, epochs=2)
    result = train(recipe, alpha=1.0, seed=0, folder=tmp_path)
    assert keras.config.dtype_policy().name == "float32"
    assert json.loads((tmp_path / "config.json").read_text())["recipe"]["dtype"] == dtype
    model = RunFolder.open(tmp_path).load("last")
    half = dtype.removeprefix("mixed_")
    # The last layer's logits are float32.
    assert _dtypes(model) == {(half, "float32"), ("float32", "float32")}
    assert model.layers[-1].compute_dtype == "float32"
    assert result.probe_kl > 0
    _is_evaluated_as_it_was_tested(tmp_path, result.test)


def test_half_precision_learns_what_float32_learns(tiny: Recipe, tmp_path: Path) -> None:
    losses = []
    for dtype in ("float32", "mixed_bfloat16"):
        recipe = replace(tiny, dtype=dtype)
        result = train(recipe, alpha=1.0, seed=0, folder=tmp_path / dtype)
        losses.append(result.test_figures["loss"])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_float16_has_a_loss_scale(tiny: Recipe) -> None:
    for dtype, scales in (("mixed_float16", True), ("mixed_bfloat16", False)):
        model = _compiled(make_task(replace(tiny, dtype=dtype)), alpha=1.0, on_nan="stop")
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) is scales


def test_a_run_of_before_the_setting_goes_on(tiny: Recipe, tmp_path: Path) -> None:
    settings = {"alpha": 1.0, "seed": 0, "folder": tmp_path}
    result = train(replace(tiny, epochs=1), **settings)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["recipe"]["dtype"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert train(replace(tiny, epochs=1), resume=True, **settings) == result
    with pytest.raises(ValueError, match=r"recipe\.dtype='float32', not 'mixed_bfloat16'"):
        train(replace(tiny, epochs=1, dtype="mixed_bfloat16"), resume=True, **settings)


def test_translation(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    recipe = toy.recipe(toy.write_files(tmp_path / "text"), epochs=1)
    recipe = replace(recipe, dtype="mixed_bfloat16")
    result = train(recipe, alpha=1.0, seed=0, folder=tmp_path / "run")
    assert result.probe_kl > 0
    model = RunFolder.open(tmp_path / "run").load("last")
    assert ("bfloat16", "float32") in _dtypes(model)
    _is_evaluated_as_it_was_tested(tmp_path / "run", result.test)


def test_logits_are_float32() -> None:
    with dtype_policy("mixed_bfloat16"):
        model = wide_resnet(image_size=8, num_classes=3, depth=10, width=1, dropout=0.1)
    assert model.output.dtype == "float32"
    assert ("bfloat16", "float32") in _dtypes(model)
    logits = model.predict(np.zeros((2, 8, 8, 3), "uint8"), verbose=0)
    assert logits.dtype == np.float32


def test_float16_leaves_steps_out_by_itself(tiny: Recipe, tmp_path: Path) -> None:
    recipe = replace(tiny, dtype="mixed_float16")
    with pytest.raises(ValueError, match=r"leaves steps out by itself.*on_nan='skip': leave it"):
        train(recipe, alpha=1.0, seed=0, folder=tmp_path, on_nan="skip")


def test_a_dtype_that_is_none(tiny: Recipe) -> None:
    sentence = "dtype must be one of float32, mixed_bfloat16, mixed_float16; got 'bf16'"
    with pytest.raises(ValueError, match=sentence):
        replace(tiny, dtype="bf16")
