"""A SavedModel that cannot be fine-tuned with R-Drop is refused in one sentence."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf.layers import SavedModelLayer
from tests.layers import saved_models

pytestmark = pytest.mark.tensorflow


def trainable(value: Any) -> Any:
    import tensorflow as tf

    return tf.Variable(value)


def frozen(value: Any) -> Any:
    import tensorflow as tf

    return tf.Variable(value, trainable=False)


def test_a_call_without_the_argument_training(tmp_path: Path) -> None:
    folder = saved_models.plain(tmp_path / "plain", trainable, training_argument=False)
    with pytest.raises(ValueError, match=r"must tell training from inference.*KL is 0.*'.*plain'"):
        SavedModelLayer(folder)


def test_a_call_that_was_exported_for_inference_only(tmp_path: Path) -> None:
    folder = saved_models.noise(tmp_path / "noise", trainings=[False])
    with pytest.raises(ValueError, match=r"not exported for training=True.*deterministic=True"):
        SavedModelLayer(folder)


@pytest.mark.parametrize("allowed", [{"deterministic": True}, {"trainable": False}])
def test_it_is_accepted_where_that_is_meant(tmp_path: Path, allowed: dict[str, bool]) -> None:
    folder = saved_models.plain(tmp_path / "plain", trainable, training_argument=False)
    layer = SavedModelLayer(folder, **allowed)
    x, _ = saved_models.features()
    expected = x @ saved_models.normal(saved_models.WIDTH, saved_models.WIDTH)
    for training in (True, False):
        np.testing.assert_allclose(layer(x, training=training), expected, rtol=1e-4, atol=1e-5)
    assert len(layer.trainable_variables) == ("deterministic" in allowed)


def test_thawing_a_layer_that_has_no_training_function(tmp_path: Path) -> None:
    folder = saved_models.plain(tmp_path / "plain", trainable, training_argument=False)
    layer = SavedModelLayer(folder, trainable=False)
    layer.trainable = True
    layer(saved_models.features()[0], training=False)
    with pytest.raises(ValueError, match="must tell training from inference"):
        layer(saved_models.features()[0], training=True)


@pytest.mark.parametrize(("build", "number"), [(frozen, 1), (lambda value: value, 0)])
def test_no_trainable_variables(tmp_path: Path, build: Any, number: int) -> None:
    folder = saved_models.plain(tmp_path / "plain", build)
    with pytest.raises(
        ValueError, match=rf"must have trainable variables.*with {number} variables, none of them"
    ):
        SavedModelLayer(folder)
    assert not SavedModelLayer(folder, trainable=False).trainable_variables


def test_a_keras_export_without_call(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).export(
        tmp_path / "export", verbose=False
    )
    with pytest.raises(
        ValueError,
        match=r"without `__call__`.*'serve'.*keras.layers.TFSMLayer.*`call_training_endpoint`",
    ):
        SavedModelLayer(tmp_path / "export")


def test_an_endpoint_that_is_not_there(tmp_path: Path) -> None:
    folder = saved_models.noise(tmp_path / "noise")
    for named in ({"endpoint": "encode"}, {"training_endpoint": "encode"}):
        with pytest.raises(ValueError, match=r"must be functions.*'encode' for '.*noise'"):
            SavedModelLayer(folder, **named)
