"""Encoders from every kind of source, and the sentence where one does not fit."""

import json
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf.tasks.glue.encoders import RANDOM_TINY, load_classifier, load_preprocessor
from rdrop_tf.tasks.glue.tokens import tokenize
from tests.tasks.glue.texts import VOCABULARY, backbone

pytestmark = pytest.mark.tensorflow
hub = pytest.importorskip("keras_hub")

TEXTS = ["the film is good", "the play is dull and poor"]


def _load(preset: Any, **options: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Loads a preset for rows of 32 tokens; returns the classifier and the texts' tokens."""
    preset = str(preset)
    preprocessor = load_preprocessor(preset, sequence_length=32, texts=TEXTS * 5)
    settings = {"outputs": 3, "sequence_length": 32, "preprocessor": preprocessor, **options}
    return load_classifier(preset, **settings), tokenize(preprocessor, [TEXTS])


def _weights(model: Any) -> dict[str, np.ndarray]:
    return {v.path: keras.ops.convert_to_numpy(v).copy() for v in model.weights}


def _write_hugging_face(folder: Path, source: Any) -> None:
    """Writes an encoder's weights and vocabulary in the Hugging Face layout."""
    numpy = pytest.importorskip("safetensors.numpy")
    hidden = source.hidden_dim

    def kernel(layer: Any) -> np.ndarray:
        value = keras.ops.convert_to_numpy(layer.kernel)
        # Attention kernels are (in, heads, size) and (heads, size, out) in Keras.
        flat = value.reshape(hidden, -1) if value.ndim == 3 and value.shape[0] == hidden else value
        return np.ascontiguousarray(
            flat.reshape(-1, value.shape[-1] if flat is value else hidden).T
        )

    def vector(variable: Any) -> np.ndarray:
        return keras.ops.convert_to_numpy(variable).reshape(-1)

    tensors: dict[str, np.ndarray] = {}

    def dense(name: str, layer: Any) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = kernel(layer), vector(layer.bias)

    def norm(name: str, layer: Any) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = vector(layer.gamma), vector(layer.beta)

    for name, layer in (("word", "token"), ("token_type", "segment")):
        table = source.get_layer(f"{layer}_embedding").embeddings
        tensors[f"embeddings.{name}_embeddings.weight"] = keras.ops.convert_to_numpy(table)
    positions = source.get_layer("position_embedding").position_embeddings
    tensors["embeddings.position_embeddings.weight"] = keras.ops.convert_to_numpy(positions)
    norm("embeddings.LayerNorm", source.get_layer("embeddings_layer_norm"))
    block, prefix = source.get_layer("transformer_layer_0"), "encoder.layer.0"
    attention = block._self_attention_layer
    for name in ("query", "key", "value"):
        dense(f"{prefix}.attention.self.{name}", getattr(attention, f"{name}_dense"))
    dense(f"{prefix}.attention.output.dense", attention.output_dense)
    norm(f"{prefix}.attention.output.LayerNorm", block._self_attention_layer_norm)
    dense(f"{prefix}.intermediate.dense", block._feedforward_intermediate_dense)
    dense(f"{prefix}.output.dense", block._feedforward_output_dense)
    norm(f"{prefix}.output.LayerNorm", block._feedforward_layer_norm)
    dense("pooler.dense", source.get_layer("pooled_dense"))

    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": len(VOCABULARY),
        "num_hidden_layers": source.num_layers,
        "num_attention_heads": source.num_heads,
        "hidden_size": hidden,
        "intermediate_size": source.intermediate_dim,
        "max_position_embeddings": source.max_sequence_length,
    }
    folder.mkdir()
    numpy.save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")


def test_a_folder_of_kerashub_loads_with_a_new_head(preset: Path) -> None:
    classifier, tokens = _load(preset)
    saved = hub.models.BertTextClassifier.from_preset(str(preset))
    for one, other in zip(classifier.backbone.weights, saved.backbone.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert classifier(tokens).shape == (2, 3)
    np.testing.assert_allclose(
        classifier.backbone(tokens)["pooled_output"], saved.backbone(tokens)["pooled_output"]
    )


def test_logits_are_not_squashed(preset: Path) -> None:
    classifier, tokens = _load(preset)
    classifier.layers[-1].bias.assign([50.0, -50.0, 7.0])
    logits = keras.ops.convert_to_numpy(classifier(tokens))
    np.testing.assert_allclose(logits, np.tile([50.0, -50.0, 7.0], (2, 1)), atol=5)


def test_a_folder_in_the_hugging_face_layout_loads(tmp_path: Path) -> None:
    source = backbone()
    rng = np.random.default_rng(0)
    for variable in source.variables:
        variable.assign(rng.normal(size=variable.shape).astype("float32"))
    _write_hugging_face(tmp_path / "hf", source)
    classifier, tokens = _load(tmp_path / "hf")
    np.testing.assert_allclose(
        classifier.backbone(tokens)["sequence_output"],
        source(tokens)["sequence_output"],
        rtol=1e-4,
        atol=1e-5,
    )
    first = [VOCABULARY.index(word) for word in ["[CLS]", *TEXTS[0].split(), "[SEP]"]]
    assert tokens["token_ids"][0, :6].tolist() == first


def test_random_tiny_needs_nothing_but_the_texts() -> None:
    classifier, tokens = _load(RANDOM_TINY)
    tokenizer = classifier.preprocessor.tokenizer
    for ids, mask, text in zip(tokens["token_ids"], tokens["padding_mask"], TEXTS, strict=True):
        assert tokenizer.detokenize(ids[1 : mask.sum() - 1]) == text
    assert tokenizer.vocabulary_size() == classifier.backbone.vocabulary_size
    assert classifier(tokens).shape == (2, 3)


def test_with_lora_only_the_updates_and_the_head_are_trained(preset: Path) -> None:
    full, _ = _load(preset)
    classifier, tokens = _load(preset, lora=2)
    trained = {variable.path for variable in classifier.trainable_variables}
    assert len(trained) < len(full.trainable_variables)
    assert all("lora" in path or path.startswith("logits") for path in trained), trained
    assert {path.rpartition("/")[2] for path in trained if "lora" in path}

    network = keras.Model(classifier.input, classifier.output)
    before = _weights(network)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(0.01, epsilon=1e-12), loss)
    for _ in range(2):  # the first step moves only the second factor, which begins at 0
        network.train_on_batch(tokens, np.array([0, 2]))
    moved = {path for path, value in _weights(network).items() if np.any(value != before[path])}
    assert moved == trained


def test_a_sequence_length_beyond_the_encoders_is_named(preset: Path) -> None:
    text = f"the sequence length must not be above the encoder's; got 33, and '{preset}' takes 32"
    with pytest.raises(ValueError, match=re.escape(text)):
        load_classifier(str(preset), outputs=2, sequence_length=33, preprocessor=None)
    load_classifier(str(preset), outputs=2, sequence_length=32, preprocessor=None)


@pytest.mark.parametrize("load", [load_preprocessor, load_classifier])
def test_a_preset_that_is_none_is_named(load: Any) -> None:
    options = {} if load is load_preprocessor else {"outputs": 2, "preprocessor": None}
    with pytest.raises(ValueError, match="a preset must be a text encoder's") as raised:
        load("no_such_encoder", sequence_length=16, **options)
    text = str(raised.value)
    assert "got 'no_such_encoder', which is no folder here, and KerasHub says" in text
    assert text.endswith("give its folder, or try random-tiny")
    assert "\n" not in text


def _gpt2() -> Any:
    return hub.models.GPT2Backbone(
        vocabulary_size=20,
        num_layers=1,
        num_heads=1,
        hidden_dim=4,
        intermediate_dim=4,
        max_sequence_length=16,
    )


def _vit() -> Any:
    return hub.models.ViTBackbone(
        image_shape=(8, 8, 3),
        patch_size=4,
        num_layers=1,
        num_heads=1,
        hidden_dim=4,
        mlp_dim=4,
    )


@pytest.mark.parametrize("make", [_gpt2, _vit])
@pytest.mark.parametrize("load", [load_preprocessor, load_classifier])
def test_a_preset_of_another_kind_is_named(make: Any, load: Any, tmp_path: Path) -> None:
    make().save_to_preset(str(tmp_path / "other"))
    options = {} if load is load_preprocessor else {"outputs": 2, "preprocessor": None}
    with pytest.raises(ValueError, match="a preset must be a text encoder's") as raised:
        load(str(tmp_path / "other"), sequence_length=16, **options)
    assert f"got '{tmp_path / 'other'}', which is a folder, and KerasHub" in str(raised.value)


def test_a_folder_without_a_preset_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"which is a folder, and KerasHub says '.*config\.json"):
        load_preprocessor(str(tmp_path), sequence_length=16)


@pytest.mark.parametrize("load", [load_preprocessor, load_classifier])
def test_without_kerashub_the_line_that_installs_it_is_said(
    load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rdrop_tf._optional.find_spec", lambda name: None)
    options = {} if load is load_preprocessor else {"outputs": 2, "preprocessor": None}
    with pytest.raises(ImportError, match=r'keras_hub is missing: pip install "rdrop_tf\[hub\]"'):
        load(RANDOM_TINY, sequence_length=16, **options)
