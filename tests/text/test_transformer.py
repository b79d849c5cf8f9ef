"""The Transformer's values, masks, noise, weights and refusals."""

from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf.text import Transformer
from rdrop_tf.text.transformer_sizes import arguments_of
from tests.text.transformers import (
    SOURCE_IDS,
    TARGET_IDS,
    WIDTH,
    batch,
    logits_of,
    reference,
    small,
)

VARIANTS = [
    {"norm": "post", "positions": "sinusoidal", "share_embeddings": "all"},
    {"norm": "pre", "positions": "learned", "share_embeddings": "decoder"},
    {"norm": "post", "positions": "learned", "share_embeddings": "none"},
    {"norm": "pre", "positions": "sinusoidal", "share_embeddings": "none"},
]


@pytest.mark.parametrize("options", VARIANTS)
def test_it_equals_the_formulas(options: dict[str, str]) -> None:
    model, inputs = small(**options), batch()
    expected = reference(model, inputs, **options)
    np.testing.assert_allclose(logits_of(model, inputs), expected, rtol=0, atol=1e-5)
    assert np.abs(expected).max() > 1


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_no_logit_sees_a_later_token(norm: str) -> None:
    model, inputs = small(norm=norm), batch()
    before = logits_of(model, inputs)
    for j in range(1, inputs["target"].shape[1]):
        target = inputs["target"].copy()
        target[0, j] = target[0, j] % (TARGET_IDS - 1) + 1
        after = logits_of(model, {**inputs, "target": target})
        np.testing.assert_array_equal(after[0, :j], before[0, :j])
        assert np.abs(after[0, j:] - before[0, j:]).max(axis=-1).min() > 1e-3


@pytest.mark.parametrize("options", VARIANTS[:2])
def test_padding_changes_nothing(options: dict[str, str]) -> None:
    model, inputs = small(**options), batch()
    padded = {side: np.pad(ids, [(0, 0), (0, 3)]) for side, ids in inputs.items()}
    before, after = logits_of(model, inputs), logits_of(model, padded)
    np.testing.assert_allclose(after[:, :5], before, rtol=0, atol=1e-6)
    alone = logits_of(model, {side: ids[1:2, :3] for side, ids in inputs.items()})
    np.testing.assert_allclose(alone[0, :2], before[1, :2], rtol=0, atol=1e-6)


def test_every_source_token_matters() -> None:
    model, inputs = small(), batch()
    before = logits_of(model, inputs)
    for j in range(3):
        source = inputs["source"].copy()
        source[1, j] = source[1, j] % (SOURCE_IDS - 1) + 1
        after = logits_of(model, {**inputs, "source": source})
        assert np.abs(after[1] - before[1]).min(axis=-1).max() > 0
        np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])


def test_another_pad_id() -> None:
    model, inputs = small(pad_id=3), batch()
    swapped = {
        side: np.where(ids == 0, 3, np.where(ids == 3, 4, ids)) for side, ids in inputs.items()
    }
    longer = {
        side: np.pad(ids, [(0, 0), (0, 2)], constant_values=3) for side, ids in swapped.items()
    }
    before, after = logits_of(model, swapped), logits_of(model, longer)
    np.testing.assert_allclose(after[:, :5], before, rtol=0, atol=1e-6)


def test_the_mask_of_the_logits_is_that_of_the_target() -> None:
    model, inputs = small(), batch()
    mask = keras.src.backend.get_keras_mask(model(inputs))
    np.testing.assert_array_equal(mask, inputs["target"] != 0)


def test_only_the_row_of_the_padding_starts_as_zeros() -> None:
    model = Transformer(500, layers=1, width=64, hidden=8, heads=2, pad_id=2)
    matrix = np.asarray(keras.ops.convert_to_numpy(model.get_layer("embedding").embeddings))
    assert np.flatnonzero(~matrix.any(axis=1)).tolist() == [2]
    assert matrix.std() == pytest.approx(64**-0.5, rel=0.02)


def test_projections_start_as_xavier_has_it() -> None:
    model = Transformer(9, layers=1, width=128, hidden=256, heads=2)
    largest = {
        v.path.split("decoder_0/")[1]: float(keras.ops.max(keras.ops.abs(v)))
        for v in model.weights
        if "decoder_0" in v.path and v.path.endswith("kernel")
    }
    alike, wide = np.sqrt(6 / (4 * 128)), np.sqrt(6 / (128 + 256))
    expected = {
        "self_attention/query_key_value/kernel": alike,
        "self_attention/output/kernel": np.sqrt(6 / 256),
        "cross_attention/query/kernel": alike,
        "cross_attention/key_value/kernel": alike,
        "cross_attention/output/kernel": np.sqrt(6 / 256),
        "feed_forward/first/kernel": wide,
        "feed_forward/second/kernel": wide,
    }
    assert largest == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("kind", ["dropout", "attention_dropout", "activation_dropout"])
def test_each_dropout_acts_in_training(kind: str) -> None:
    rates = {"dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0}
    model, inputs = small(**{**rates, kind: 0.3}), batch()
    first, second = (logits_of(model, inputs, training=True) for _ in range(2))
    assert np.abs(first[0] - second[0]).max() > 1e-2
    np.testing.assert_array_equal(logits_of(model, inputs), logits_of(model, inputs))
    # dropout: 2 embeddings and 2 + 2 + 3 sublayers; attention: 2 + 2; activation: 2 + 1.
    states = [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
    assert len(states) == {"dropout": 9, "attention_dropout": 4, "activation_dropout": 3}[kind]


def test_the_activation_is_chosen() -> None:
    inputs = batch()
    relu, gelu = small(), small(activation="gelu")
    assert np.abs(logits_of(relu, inputs) - logits_of(gelu, inputs)).max() > 1e-2


@pytest.mark.parametrize("share_embeddings", ["all", "decoder", "none"])
@pytest.mark.parametrize(("norm", "positions"), [("post", "learned"), ("pre", "sinusoidal")])
def test_weights_that_are_shared_are_one(share_embeddings: str, norm: str, positions: str) -> None:
    model = small(share_embeddings=share_embeddings, norm=norm, positions=positions, max_length=9)
    matrices = {"all": SOURCE_IDS, "decoder": SOURCE_IDS + TARGET_IDS}
    rows = matrices.get(share_embeddings, SOURCE_IDS + 2 * TARGET_IDS)
    expected = rows * WIDTH + _of_blocks(2, 1, WIDTH, 20)
    expected += 2 * 2 * WIDTH if norm == "pre" else 2 * 9 * WIDTH
    assert model.count_params() == expected


@pytest.mark.parametrize(
    ("size", "layers", "width", "hidden", "heads", "dropout"),
    [
        ("tiny", 4, 128, 256, 4, 0.1),
        ("iwslt", 6, 512, 1024, 4, 0.3),
        ("base", 6, 512, 2048, 8, 0.1),
        ("big", 6, 1024, 4096, 16, 0.3),
    ],
)
def test_sizes_are_the_published_ones(
    size: str, layers: int, width: int, hidden: int, heads: int, dropout: float
) -> None:
    assert arguments_of(size)["layers"] == layers
    # One layer a side: six of the largest are 180 million weights.
    model = Transformer.of_size(size, 100, layers=1)
    assert model.count_params() == 100 * width + _of_blocks(1, 1, width, hidden)
    config = model.get_config()
    assert (config["heads"], config["dropout"]) == (heads, dropout)


def test_a_whole_size_has_the_weights_of_the_formula() -> None:
    model = Transformer.of_size("tiny", 100)
    assert model.count_params() == 100 * 128 + _of_blocks(4, 4, 128, 256)


def test_sizes_have_their_rates_and_take_others() -> None:
    config = Transformer.of_size("tiny", 20, 30, share_embeddings="decoder").get_config()
    assert (config["dropout"], config["heads"], config["target_vocabulary"]) == (0.1, 4, 30)
    config = Transformer.of_size("tiny", 20, dropout=0.3, layers=1).get_config()
    assert (config["dropout"], config["encoder_layers"], config["decoder_layers"]) == (0.3, 1, 1)


def _of_blocks(encoder_layers: int, decoder_layers: int, width: int, hidden: int) -> int:
    attention = 4 * width * width + 4 * width
    feed_forward = 2 * width * hidden + hidden + width
    norm = 2 * width
    encoder = attention + feed_forward + 2 * norm
    return encoder_layers * encoder + decoder_layers * (encoder + attention + norm)


@pytest.mark.parametrize("options", VARIANTS[:3])
def test_saved_and_reloaded_it_is_the_same(options: dict[str, str], tmp_path: Any) -> None:
    model, inputs = small(**options, attention_dropout=0.2), batch()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, Transformer)
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(logits_of(again, inputs), logits_of(model, inputs))
    assert len(again.trainable_variables) == len(model.trainable_variables)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_other_dtypes(dtype: str) -> None:
    if dtype == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 by itself")
    model, inputs = small(dtype=dtype), batch()
    expected, found = reference(model, inputs), logits_of(model, inputs)
    tolerance = {"mixed_bfloat16": 0.15, "mixed_float16": 0.02, "float64": 1e-6}[dtype]
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    assert found.dtype == ("float64" if dtype == "float64" else "float32")
    inputs = {side: np.pad(ids, [(0, 1), (0, 0)]) for side, ids in inputs.items()}
    assert np.isfinite(logits_of(model, inputs)).all()
    assert Transformer.from_config(model.get_config()).dtype_policy.name == dtype


SIZES = {"layers": 1, "width": 8, "hidden": 8, "heads": 2}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"heads": 3}, "`heads` must divide `width`. Received: heads=3 and width=8; choose a div"),
        ({"norm": "mid"}, "`norm` must be one of 'post', 'pre'. Received: norm='mid'"),
        ({"positions": "none"}, "`positions` must be one of 'sinusoidal', 'learned'. Received"),
        ({"share_embeddings": 1}, "`share_embeddings` must be one of 'all', 'decoder', 'none'."),
        (
            {"target_vocabulary": 9, "share_embeddings": "all"},
            "share_embeddings='all' needs one vocabulary for source and target. Received: "
            "source_vocabulary=7 and target_vocabulary=9; use share_embeddings='decoder'",
        ),
        ({"layers": None}, "needs `layers`, or both `encoder_layers` and `decoder_layers`."),
        ({"layers": 0}, "`encoder_layers` must be a whole number >= 1. Received: encoder_lay"),
        ({"hidden": 2.5}, "`hidden` must be a whole number >= 1. Received: hidden=2.5"),
        ({"dropout": 1.0}, "`dropout` must be a rate, 0 <= rate < 1. Received: dropout=1.0"),
        ({"pad_id": 7}, "`pad_id` must be an id of both vocabularies, 0 to 6. Received: pad_id=7"),
    ],
)
def test_arguments_that_make_no_model_are_refused(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Transformer(7, **{**SIZES, **wrong})


@pytest.mark.parametrize(("target", "shared"), [(None, "all"), (7, "decoder"), (9, "decoder")])
def test_two_vocabularies_have_two_matrices_whatever_their_sizes(
    target: int | None, shared: str
) -> None:
    model = Transformer(7, target, **SIZES)
    assert model.get_config()["share_embeddings"] == shared
    again = Transformer.from_config(model.get_config())
    assert again.count_params() == model.count_params()


def test_an_unknown_size_is_refused() -> None:
    text = "`size` must be one of 'tiny', 'iwslt', 'base', 'big'. Received: size='huge'"
    with pytest.raises(ValueError, match=text):
        Transformer.of_size("huge", 10)


def test_sequences_beyond_learned_positions_are_refused() -> None:
    model = small(positions="learned", max_length=5)
    text = "must not be longer than `max_length`.* Received: 6 tokens and max_length=5; cut it"
    with pytest.raises(ValueError, match=text):
        model(batch())
    with pytest.raises(ValueError, match=text):
        model.start(batch()["source"], 4)
    with pytest.raises(ValueError, match=r"Received: 7 tokens and max_length=5"):
        model.start(batch()["source"][:, :5], 7)
    with pytest.raises(ValueError, match=r"`length` must be a whole number >= 1. Received: len"):
        model.start(batch()["source"], 0)


@pytest.mark.tensorflow
def test_sequences_whose_length_a_graph_learns_late_are_refused_too() -> None:
    import tensorflow as tf

    model, inputs = small(positions="learned", max_length=5), batch()
    spec = {side: tf.TensorSpec((None, None), tf.int32) for side in inputs}
    graph = tf.function(lambda inputs: model(inputs), input_signature=[spec])
    short = {side: ids[:, :5] for side, ids in inputs.items()}
    np.testing.assert_allclose(graph(short), model(short), rtol=0, atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="more tokens than max_length=5"):
        graph(inputs)


@pytest.mark.tensorflow
def test_the_exported_model_is_the_same(tmp_path: Any) -> None:
    import tensorflow as tf

    model = small()
    model.export(tmp_path / "model", verbose=False)
    served = tf.saved_model.load(tmp_path / "model")
    for inputs in (batch(), batch(9, 8)):
        np.testing.assert_allclose(served.serve(inputs), model(inputs), rtol=0, atol=1e-6)
