"""The layer by itself: an ordinary projection, with whose logits the hidden states travel."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from rdrop_tf.layers import VocabularyHead
from rdrop_tf.layers.kept_hidden import kept_hidden


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


def test_hidden_states_and_the_projection_travel_with_the_logits() -> None:
    head = VocabularyHead(7, use_bias=True, bias_initializer="normal")
    x = keras.ops.convert_to_tensor(hidden())
    logits = head(x)
    kept = kept_hidden(logits)
    assert kept is not None
    np.testing.assert_array_equal(kept.hidden, x)
    np.testing.assert_array_equal(kept.head.projection().logits(kept.hidden), logits)
    # What is made of logits is another matter.
    assert kept_hidden(logits * 2.0) is None
    assert kept_hidden(x) is None


@pytest.mark.one_backend
@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_tied_to_a_quantized_embedding_it_reads_what_that_reads(mode: str) -> None:
    embedding = layers.Embedding(8, 4)
    head = VocabularyHead(tied_to=embedding)
    before = head(hidden())
    embedding.quantize(mode)
    matrix = np.asarray(embedding(np.arange(8)))
    np.testing.assert_allclose(head(hidden()), hidden() @ matrix.T, atol=1e-6)
    # Near the unquantized logits, too: 4 bits are rough.
    assert np.abs(np.asarray(head(hidden())) - before).max() < 0.02
    assert not head.projection().kernel_is_trained


@pytest.mark.one_backend
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("by", ["clone_model", "from_config", "json"])
def test_a_tie_outlives_the_config(by: str, nested: bool) -> None:
    x = keras.Input((5,), dtype="int32")
    embedding = layers.Embedding(7, 4, name="words")
    other = layers.Embedding(7, 4, name="others")
    h = embedding(x) + other(x)
    if nested:
        h = keras.Model(x, h)(x)
    model = keras.Model(x, VocabularyHead(tied_to=embedding, name="head")(h))
    if by == "clone_model":
        twin = keras.models.clone_model(model)
    elif by == "json":
        twin = keras.models.model_from_json(model.to_json())
    else:
        twin = keras.Model.from_config(model.get_config())
    assert [v.path for v in twin.variables] == [v.path for v in model.variables]
    twin.set_weights(model.get_weights())
    tokens = np.arange(10).reshape(2, 5) % 7
    np.testing.assert_allclose(twin(tokens), model(tokens), atol=1e-6)
    assert twin.get_layer("head").tied_to.name == "words"


@pytest.mark.one_backend
def test_a_tie_that_is_lost_is_said() -> None:
    head = VocabularyHead.from_config(VocabularyHead(tied_to=layers.Embedding(7, 4)).get_config())
    with pytest.warns(UserWarning, match="has a matrix of its own now"):
        head(keras.Input((5, 4)))


@pytest.mark.one_backend
def test_a_tie_to_one_of_two_namesakes(tmp_path: Path) -> None:
    """It is not known which of them was meant, and never taken to be the nearer one."""
    x = keras.Input((5,), dtype="int32")
    embeddings = [layers.Embedding(7, 4, name="tok") for _ in range(2)]
    first, second = (keras.Model(x, e(x), name=f"part_{i}") for i, e in enumerate(embeddings))
    h = layers.Dense(4)(first(x)) + second(x)
    model = keras.Model(x, VocabularyHead(tied_to=embeddings[0], use_bias=True)(h))
    model.save(tmp_path / "model.keras")
    # Keras keeps no layer one that is shared across nested models, and says so.
    with pytest.raises(ValueError, match="'tok' expected 1 variables, but received 0"):
        keras.models.load_model(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match="none of that name, or several"):
        keras.models.clone_model(model)


@pytest.mark.one_backend
@pytest.mark.parametrize("way", ["keyword", "wrapped"])
def test_a_tie_of_a_head_that_is_called_in_another_way(way: str, tmp_path: Path) -> None:
    x = keras.Input((5,), dtype="int32")
    embedding = layers.Embedding(7, 4)
    head = VocabularyHead(tied_to=embedding, use_bias=True)
    h = embedding(x)
    model = keras.Model(x, head(inputs=h) if way == "keyword" else layers.TimeDistributed(head)(h))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    tokens = np.arange(10).reshape(2, 5) % 7
    np.testing.assert_allclose(again(tokens), model(tokens), atol=1e-6)
    assert again.count_params() == model.count_params()
    said = nullcontext() if way == "keyword" else pytest.warns(UserWarning, match="of its own now")
    with said:
        keras.models.clone_model(model)(tokens)


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
