"""The shared prefix of models that people have: KerasHub's BERT, EfficientNet."""

from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf import RDropModel
from rdrop_tf.models.choice import choose
from rdrop_tf.models.frontier import frontier_of
from rdrop_tf.models.passes import run_passes
from tests.models import zoo

SEEDED = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras' dropout is not seeded on Torch"
)


def bert(backbone_dropout: float, num_layers: int = 2) -> keras.Model:
    hub = pytest.importorskip("keras_hub")
    backbone = hub.models.BertBackbone(
        vocabulary_size=30,
        num_layers=num_layers,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=12,
        dropout=backbone_dropout,
    )
    return hub.models.BertTextClassifier(backbone, num_classes=3, dropout=0.5)


def token_batch() -> dict[str, np.ndarray]:
    ids = zoo.rng().randint(1, 30, (8, 12))
    mask = np.arange(12) < zoo.rng(1).randint(3, 13, (8, 1))
    return {"token_ids": ids * mask, "segment_ids": ids * 0, "padding_mask": mask.astype("int32")}


def efficient_net() -> keras.Model:
    """With stochastic depth (20 %) inside and dropout before its head."""
    return keras.applications.EfficientNetB0(
        weights=None, input_shape=(32, 32, 3), classes=3, classifier_activation=None
    )


def passes_of(model: keras.Model, x: Any, forward: str) -> list[np.ndarray]:
    found = run_passes(model, [x, x], forward)
    leaves = keras.tree.flatten(found.predictions)
    state = model.non_trainable_variables
    return [keras.ops.convert_to_numpy(leaf) for leaf in [*leaves, *state]]


def assert_same_passes(build: Any, x: Any) -> keras.Model:
    found = []
    for forward in ("two_calls", "shared_prefix"):
        keras.utils.set_random_seed(11)
        model = build()
        found.append(passes_of(model, x, forward))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(found[1][0] - found[1][1]).max() > 1e-7
    return model


@pytest.mark.tensorflow
def test_bert_without_backbone_dropout_is_all_prefix() -> None:
    model = assert_same_passes(lambda: bert(0.0), token_batch())
    assert [name for name, _ in frontier_of(model).stochastic] == ["classifier_dropout"]
    choice = choose(model, "auto")
    assert choice.forward == "shared_prefix"
    assert choice.cost is not None
    assert choice.cost.multiple(2, shared=True) < 1.05


@pytest.mark.tensorflow
def test_bert_with_dropout_from_its_embeddings_has_nothing_to_share() -> None:
    model = assert_same_passes(lambda: bert(0.1), token_batch())
    ((name, reason),) = frontier_of(model).stochastic
    assert name.startswith("bert_backbone")
    assert name.endswith("/embeddings_dropout")
    assert reason == "keeps a seed generator"
    assert choose(model, "auto").forward == "two_calls"


@SEEDED
@pytest.mark.tensorflow
def test_bert_trains_as_with_two_calls() -> None:
    models = []
    for forward in ("two_calls", "shared_prefix"):
        keras.utils.set_random_seed(11)
        models.append(bert(0.0, num_layers=1))
        rdrop = RDropModel(models[-1], alpha=3.0, forward=forward)
        rdrop.compile(keras.optimizers.SGD(0.05), zoo.CASES["functional"].loss())
        for _ in range(2):
            logs = rdrop.train_on_batch(token_batch(), np.arange(8) % 3, return_dict=True)
        assert logs["kl"] > 1e-7
    assert zoo.largest_difference(*models) <= 1e-6


@pytest.mark.tensorflow
def test_efficient_net() -> None:
    x = zoo.rng().uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    model = assert_same_passes(efficient_net, x)
    (first, *_) = frontier_of(model).stochastic
    assert first == ("block2b_drop", "keeps a seed generator")
