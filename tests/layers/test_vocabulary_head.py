"""The layer by itself: an ordinary projection that can be deferred."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from rdrop_tf.layers import VocabularyHead
from rdrop_tf.layers.deferral import deferred_projection, deferring


def hidden(rows: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 5, 4)).astype("float32")


@pytest.mark.parametrize("use_bias", [False, True])
def test_it_is_a_dense_layer(use_bias: bool) -> None:
    head = VocabularyHead(7, use_bias=use_bias, bias_initializer="normal")
    dense = layers.Dense(7, use_bias=use_bias)
    x = hidden()
    logits = head(x)
    dense.build(x.shape)
    dense.set_weights(head.get_weights())
    np.testing.assert_allclose(logits, dense(x), atol=1e-6)
    assert head.compute_output_shape((None, 5, 4)) == (None, 5, 7)


def test_a_tied_head_has_no_kernel_of_its_own() -> None:
    embedding = layers.Embedding(7, 4)
    head = VocabularyHead(tied_to=embedding)
    logits = head(hidden())
    expected = hidden() @ np.asarray(embedding.get_weights()[0]).T
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    assert [v.path for v in head.trainable_variables] == [embedding.trainable_variables[0].path]


def test_deferred_it_hands_on_hidden_states_and_the_projection() -> None:
    head = VocabularyHead(7, use_bias=True, bias_initializer="normal")
    x = keras.ops.convert_to_tensor(hidden())
    logits = head(x)
    with deferring() as scope:
        handed = head(x)
    projection = deferred_projection(handed)
    assert scope.hidden == [handed] if keras.backend.backend() == "torch" else scope.hidden
    assert handed is not x
    assert deferred_projection(x) is None
    assert projection is not None
    np.testing.assert_array_equal(handed, x)
    np.testing.assert_array_equal(projection.logits(handed), logits)
    np.testing.assert_array_equal(head(x), logits)


def test_masks_are_passed_on() -> None:
    x = keras.Input((5,), dtype="int32")
    embedding = layers.Embedding(7, 4, mask_zero=True)
    model = keras.Model(x, VocabularyHead(tied_to=embedding)(embedding(x)))
    out = model(np.array([[1, 2, 0, 0, 0]]))
    mask = keras.src.backend.get_keras_mask(out)
    np.testing.assert_array_equal(mask, [[True, True, False, False, False]])


def test_a_frozen_kernel_needs_no_gradient() -> None:
    embedding = layers.Embedding(7, 4)
    tied, own = VocabularyHead(tied_to=embedding), VocabularyHead(7)
    for head in (tied, own):
        head(hidden())
        assert head.projection().kernel_is_trained
    embedding.trainable = own.trainable = False
    assert not tied.projection().kernel_is_trained
    assert not own.projection().kernel_is_trained


def test_half_precision_is_the_layer_s() -> None:
    head = VocabularyHead(7, use_bias=True, dtype="mixed_bfloat16")
    assert keras.backend.standardize_dtype(head(hidden()).dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(head.kernel.dtype) == "float32"


def test_losses_of_its_own_weights() -> None:
    head = VocabularyHead(7, kernel_regularizer="l2", use_bias=True, bias_regularizer="l1")
    head(hidden())
    found = sum(float(loss) for loss in head.losses_of_own_weights())
    assert found == pytest.approx(sum(float(loss) for loss in head.losses), rel=1e-6)
    assert found > 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "either `vocabulary_size` or `tied_to`"),
        ({"vocabulary_size": 7, "tied_to": layers.Embedding(7, 4)}, "either `vocabulary_size`"),
        ({"vocabulary_size": 0}, r"whole number >= 1. Received: vocabulary_size=0"),
        ({"tied_to": layers.Dense(7)}, r"`tied_to` must be a keras.layers.Embedding"),
        ({"vocabulary_size": 7, "activity_regularizer": "l2"}, "takes no `activity_regularizer`"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        VocabularyHead(**arguments)


def test_an_embedding_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden states of 4 features and the embedding 'e' of 3"):
        VocabularyHead(tied_to=layers.Embedding(7, 3, name="e"))(hidden())
