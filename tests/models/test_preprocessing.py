"""KerasHub tasks train on raw samples through the wrapper."""

from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf import RDropModel
from rdrop_tf.models.preprocessing import preprocessed
from tests.models import zoo

pytestmark = pytest.mark.one_backend

keras_hub = pytest.importorskip("keras_hub", reason="keras-hub is an extra: rdrop_tf[hub]")

WORDS = ["the", "quick", "brown", "fox", "jumped", "over", "a", "lazy", "dog", "slept"]
TEXTS = [" ".join(zoo.rng(i).choice(WORDS, 5)) for i in range(24)]
LABELS = np.array([int("fox" in text) for text in TEXTS])


def bert(dropout: float = 0.1) -> Any:
    keras.utils.set_random_seed(4)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=vocabulary)
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=1,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=8,
        dropout=dropout,
    )
    return keras_hub.models.BertTextClassifier(
        backbone=backbone,
        preprocessor=keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=8),
        num_classes=2,
        dropout=dropout,
    )


def compiled(task: Any, optimizer: Any = None, metrics: Any = None, **options: Any) -> RDropModel:
    """One call a step and plain descent, unless told otherwise: BERT takes long to trace."""
    rdrop = RDropModel(task, **{"forward": "concat", **options})
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rdrop.compile(optimizer or keras.optimizers.SGD(0.05), loss, metrics=metrics)
    return rdrop


def test_a_bert_classifier_trains_on_raw_strings() -> None:
    task = bert()
    rdrop = compiled(task, keras.optimizers.Adam(5e-3), ["accuracy"], alpha=1.0, forward="auto")
    logs = rdrop.fit(
        TEXTS, LABELS, batch_size=8, epochs=12, verbose=0, validation_data=(TEXTS, LABELS)
    ).history
    assert logs["loss"][-1] < 0.6 * logs["loss"][0]
    assert logs["kl"][0] > 0
    assert logs["val_loss"][-1] == pytest.approx(
        rdrop.evaluate(TEXTS, LABELS, verbose=0, return_dict=True)["loss"], rel=1e-5
    )
    predictions = rdrop.predict(TEXTS, verbose=0)
    assert predictions.shape == (24, 2)
    np.testing.assert_allclose(task.predict(TEXTS, verbose=0), predictions, atol=1e-5)


def test_without_noise_a_task_trains_as_keras_hub_trains_it() -> None:
    plain = bert(dropout=0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain.compile(keras.optimizers.SGD(0.05), loss)
    plain.fit(TEXTS, LABELS, batch_size=8, shuffle=False, verbose=0)
    task = bert(dropout=0.0)
    rdrop = RDropModel(task, alpha=0.0)
    rdrop.compile(keras.optimizers.SGD(0.05), loss)
    # KerasHub keeps the order of raw samples; shuffling is ours, and can be left out.
    rdrop.fit(TEXTS, LABELS, batch_size=8, shuffle=False, verbose=0)
    assert zoo.largest_difference(plain, task) <= 1e-7


def test_a_task_is_saved_and_loaded_with_its_preprocessor(tmp_path: Any) -> None:
    rdrop = compiled(bert())
    rdrop.fit(TEXTS, LABELS, batch_size=8, verbose=0)
    rdrop.save(tmp_path / "task.keras")
    again = keras.saving.load_model(tmp_path / "task.keras")
    np.testing.assert_allclose(
        rdrop.predict(TEXTS, verbose=0), again.predict(TEXTS, verbose=0), atol=1e-6
    )


def test_only_the_weights_that_lora_leaves_trainable_change() -> None:
    task = bert()
    task.backbone.enable_lora(2)
    before = {v.path: v.numpy().copy() for v in task.weights}
    # Adam moves all that has a gradient, however small it is.
    compiled(task, keras.optimizers.Adam(5e-3)).fit(TEXTS, LABELS, batch_size=8, verbose=0)
    changed = {v.path for v in task.weights if not np.array_equal(before[v.path], v.numpy())}
    assert changed == {v.path for v in task.trainable_variables}
    frozen = "transformer_layer_0/feedforward_intermediate_dense/kernel"
    assert frozen in before
    assert frozen not in changed


@pytest.mark.tensorflow
def test_raw_strings_from_tf_data() -> None:
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(8)
    rdrop = compiled(bert())
    rdrop.fit(data, verbose=0)
    assert rdrop.evaluate(data, verbose=0, return_dict=True)["loss"] > 0
    assert rdrop.predict(data.map(lambda x, y: x), verbose=0).shape == (24, 2)


def test_shuffling_moves_samples_and_labels_together() -> None:
    keras.utils.set_random_seed(0)
    task = bert()
    plain = preprocessed(task, TEXTS, LABELS, LABELS + 2.0, batch_size=24)[0]
    mixed = preprocessed(task, TEXTS, LABELS, LABELS + 2.0, batch_size=24, shuffle=True)[0]

    def rows(batch: Any) -> list[tuple[Any, ...]]:
        x, y, w = batch
        return [(tuple(t), int(a), float(b)) for t, a, b in zip(x["token_ids"], y, w, strict=True)]

    assert rows(plain) != rows(mixed)
    assert sorted(rows(plain)) == sorted(rows(mixed))


def test_the_last_batch_may_be_short() -> None:
    data = preprocessed(bert(), TEXTS[:10], LABELS[:10], batch_size=4)
    assert [len(data[i][1]) for i in range(len(data))] == [4, 4, 2]


def test_samples_and_labels_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"same number of samples. Received: \[5, 24\] samples"):
        compiled(bert()).fit(TEXTS, LABELS[:5], verbose=0)


def test_a_generator_of_raw_samples_is_refused() -> None:
    with pytest.raises(ValueError, match=r"batches that can be read again .*Received: .*generator"):
        compiled(bert()).fit((text for text in TEXTS), verbose=0)


def test_a_validation_split_of_raw_samples_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pass `validation_data`. Received: validation_split=0.2"):
        compiled(bert()).fit(TEXTS, LABELS, validation_split=0.2, verbose=0)


def test_raw_strings_go_on_where_they_were(tmp_path: Any) -> None:
    from rdrop_tf.training import ExactResume

    def train(epochs: int, folder: str) -> Any:
        task = bert()
        callbacks = [ExactResume(tmp_path / folder)]
        compiled(task).fit(
            TEXTS, LABELS, batch_size=8, epochs=epochs, verbose=0, callbacks=callbacks
        )
        return task

    train(1, "killed")
    assert zoo.largest_difference(train(2, "killed"), train(2, "whole")) == 0.0
