"""`RDropLoss` comes back from its configuration."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf import RDropLoss
from rdrop_tf.losses import symmetric_kl

PASSES = tuple(np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32"))


@keras.saving.register_keras_serializable(package="rdrop_tests")
def absolute_distance(a, b):
    return ops.sum(ops.abs(a - b), axis=-1)


LOSSES = {
    "defaults": lambda: RDropLoss(),
    "logits": lambda: RDropLoss(
        5.0,
        keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=2, reduction="sum"
        ),
        normalize="paper",
        name="mine",
    ),
    "by name": lambda: RDropLoss(0.5, "mse"),
    "divergence by name": lambda: RDropLoss(
        1.0, keras.losses.BinaryCrossentropy(label_smoothing=0.1), divergence="jensen_shannon"
    ),
    "divergence of ones own": lambda: RDropLoss(
        1.0, keras.losses.MeanSquaredError(), divergence=absolute_distance
    ),
    "divergence as a function": lambda: RDropLoss(
        1.0, keras.losses.SparseCategoricalCrossentropy(from_logits=True), divergence=symmetric_kl
    ),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_from_config(kind):
    check_same(LOSSES[kind](), lambda loss: RDropLoss.from_config(loss.get_config()))


@pytest.mark.parametrize("kind", LOSSES)
def test_serialize_and_deserialize(kind):
    def through_json(loss):
        config = json.loads(json.dumps(keras.losses.serialize(loss)))
        return keras.losses.deserialize(config)

    check_same(LOSSES[kind](), through_json)


def check_same(loss, save_and_load):
    loaded = save_and_load(loss)
    assert type(loaded) is RDropLoss
    assert loaded.get_config() == loss.get_config()
    assert (loaded.alpha, loaded.normalize) == (loss.alpha, loss.normalize)
    assert (loaded.name, loaded.reduction) == (loss.name, loss.reduction)
    sparse = isinstance(loss.loss, keras.losses.SparseCategoricalCrossentropy)
    y_true = np.array([0, 1, 2, 0]) if sparse else np.eye(3, dtype="float32")[[0, 1, 2, 0]]
    passes = [ops.softmax(x) for x in PASSES]
    assert float(loaded(y_true, passes)) == float(loss(y_true, passes))
