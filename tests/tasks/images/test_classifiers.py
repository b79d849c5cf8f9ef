from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from rdrop_tf import RDropModel
from rdrop_tf.tasks.images.classifiers import load_image_classifier
from rdrop_tf.tasks.precision import dtype_policy

keras_hub = pytest.importorskip("keras_hub")

SIZE, PATCH, CLASSES = 16, 4, 3
SCALE, OFFSET = 1 / 127.5, -1.0


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ViT of seven classes whose head gives probabilities."""
    keras.utils.set_random_seed(7)
    backbone = keras_hub.models.ViTBackbone(
        image_shape=(SIZE, SIZE, 3),
        patch_size=PATCH,
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        mlp_dim=16,
    )
    converter = keras_hub.layers.ViTImageConverter(
        image_size=(SIZE, SIZE), scale=SCALE, offset=OFFSET
    )
    classifier = keras_hub.models.ViTImageClassifier(
        backbone,
        num_classes=7,
        preprocessor=keras_hub.models.ViTImageClassifierPreprocessor(converter),
        activation="softmax",
    )
    folder = tmp_path_factory.mktemp("vit")
    classifier.save_to_preset(folder)
    return str(folder)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ResNet for images of any size, which scales each channel in its own way."""
    keras.utils.set_random_seed(8)
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
    )
    converter = keras_hub.layers.ResNetImageConverter(
        scale=[0.01, 0.02, 0.03], offset=[-0.5, 0.0, 0.5]
    )
    classifier = keras_hub.models.ResNetImageClassifier(
        backbone,
        num_classes=7,
        preprocessor=keras_hub.models.ResNetImageClassifierPreprocessor(converter),
    )
    folder = tmp_path_factory.mktemp("resnet")
    classifier.save_to_preset(folder)
    return str(folder)


def _load(preset: str, image_size: int = SIZE, dropout: float | None = None) -> keras.Model:
    return load_image_classifier(
        preset, num_classes=CLASSES, image_size=image_size, dropout=dropout
    )


def _images(size: int = SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, size, size, 3), dtype=np.uint8)


def _classifier(model: keras.Model) -> keras.Model:
    return model.get_layer("classifier")


def _backbone(model: keras.Model, kind: Any) -> Any:
    (backbone,) = (layer for layer in _classifier(model).layers if isinstance(layer, kind))
    return backbone


def _weights(backbone: Any) -> dict[str, NDArray[np.float32]]:
    return {weight.path: weight.numpy() for weight in backbone.weights}


def _dropout_rates(model: keras.Model) -> set[float]:
    layers = model._flatten_layers(include_self=False)
    return {layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)}


@pytest.mark.parametrize("dropout", [None, 0.3], ids=["as it is", "rebuilt with dropout"])
def test_at_the_presets_size_nothing_changes(preset: str, dropout: float | None) -> None:
    model = _load(preset, dropout=dropout)
    original = keras_hub.models.ViTBackbone.from_preset(preset)
    token = np.asarray(original.predict(SCALE * _images() + OFFSET, verbose=0))[:, 0]
    head = _classifier(model).get_layer("predictions")
    expected = token @ head.kernel.numpy() + head.bias.numpy()
    np.testing.assert_allclose(model.predict(_images(), verbose=0), expected, rtol=0, atol=1e-5)


def test_the_head_gives_logits_of_the_new_classes(preset: str) -> None:
    model = _load(preset)
    assert (model.input_shape, model.output_shape) == ((None, SIZE, SIZE, 3), (None, CLASSES))
    sums = model.predict(_images(), verbose=0).sum(axis=1)
    assert np.abs(sums - 1).min() > 1e-3


def test_integers_and_floats_are_the_same_pixels(preset: str) -> None:
    model = _load(preset)
    np.testing.assert_array_equal(
        model.predict(_images(), verbose=0),
        model.predict(_images().astype("float32"), verbose=0),
    )


@pytest.mark.parametrize("size", [8, 24], ids=["smaller", "larger"])
def test_another_size_resizes_the_position_embedding_alone(preset: str, size: int) -> None:
    name = "vit_patching_and_embedding/position_embedding/embeddings"
    original = _weights(keras_hub.models.ViTBackbone.from_preset(preset))
    resized = _weights(_backbone(_load(preset, size), keras_hub.models.ViTBackbone))
    table, new = original.pop(name), resized.pop(name)

    side = size // PATCH
    patches = keras.ops.image.resize(
        table[1:].reshape(1, SIZE // PATCH, SIZE // PATCH, 8), (side, side), "bicubic"
    )
    np.testing.assert_array_equal(new[0], table[0])
    np.testing.assert_allclose(new[1:], np.asarray(patches).reshape(side * side, 8), atol=1e-6)

    assert resized.keys() == original.keys()
    for path, value in original.items():
        np.testing.assert_array_equal(resized[path], value, err_msg=path)


def test_distillation_tokens_are_kept_too(tmp_path: Path) -> None:
    settings = {"patch_size": 4, "num_layers": 1, "num_heads": 2, "hidden_dim": 8}
    backbone = keras_hub.models.DeiTBackbone(
        image_shape=(SIZE, SIZE, 3), intermediate_dim=8, **settings
    )
    preprocessor = keras_hub.models.DeiTImageClassifierPreprocessor(
        keras_hub.layers.DeiTImageConverter(scale=1 / 255)
    )
    keras_hub.models.DeiTImageClassifier(backbone, 7, preprocessor).save_to_preset(tmp_path)
    model = _load(str(tmp_path), 24, dropout=0.2)
    old, new = (
        next(weight.numpy()[0] for weight in some.weights if "position" in weight.path)
        for some in (backbone, _backbone(model, keras_hub.models.DeiTBackbone))
    )
    np.testing.assert_array_equal(new[:2], old[:2])
    patches = keras.ops.image.resize(old[2:].reshape(1, 4, 4, 8), (6, 6), "bicubic")
    np.testing.assert_allclose(new[2:], np.asarray(patches).reshape(36, 8), atol=1e-6)
    assert _dropout_rates(model) == {0.0, 0.2}


def test_a_network_of_any_size_keeps_its_weights(resnet: str) -> None:
    model = _load(resnet, image_size=12)
    original = keras_hub.models.ResNetBackbone.from_preset(resnet)
    scaled = _images(12) * np.array([0.01, 0.02, 0.03]) + np.array([-0.5, 0.0, 0.5])
    features = np.asarray(original.predict(scaled, verbose=0)).mean(axis=(1, 2))
    head = _classifier(model).get_layer("predictions")
    expected = features @ head.kernel.numpy() + head.bias.numpy()
    np.testing.assert_allclose(
        model.predict(_images(12), verbose=0), expected, rtol=1e-4, atol=1e-5
    )


def test_a_convolutional_network_of_a_fixed_size_keeps_its_weights(tmp_path: Path) -> None:
    backbone = keras_hub.models.VGGBackbone(
        stackwise_num_repeats=[1], stackwise_num_filters=[4], image_shape=(SIZE, SIZE, 3)
    )
    preprocessor = keras_hub.models.VGGImageClassifierPreprocessor(
        keras_hub.layers.VGGImageConverter(scale=1 / 255)
    )
    keras_hub.models.VGGImageClassifier(backbone, 7, preprocessor).save_to_preset(tmp_path)
    resized = _backbone(_load(str(tmp_path), image_size=24), keras_hub.models.VGGBackbone)
    assert resized.input_shape == (None, 24, 24, 3)
    for path, value in _weights(backbone).items():
        np.testing.assert_array_equal(_weights(resized)[path], value, err_msg=path)


def test_dropout_is_set_in_backbone_and_head(preset: str, resnet: str) -> None:
    assert _dropout_rates(_load(preset)) == {0.0}
    # The attention's rate is a setting of its own, 0 in the paper's ViT too.
    assert _dropout_rates(_load(preset, dropout=0.3)) == {0.0, 0.3}
    assert _dropout_rates(_load(resnet, dropout=0.3)) == {0.3}


@pytest.mark.parametrize("which", ["preset", "resnet"])
def test_it_trains_with_two_passes(which: str, request: pytest.FixtureRequest) -> None:
    model = RDropModel(_load(request.getfixturevalue(which), image_size=8, dropout=0.2), alpha=1.0)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    logs = model.fit(_images(8), np.arange(5) % CLASSES, verbose=0).history
    assert logs["kl"][0] > 0


def test_a_saved_model_predicts_the_same(preset: str, tmp_path: Path) -> None:
    model = _load(preset, image_size=8, dropout=0.2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(_images(8), verbose=0), model.predict(_images(8), verbose=0), atol=1e-6
    )


# Presets that do not fit


def test_a_preset_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"must be an image classifier's: .* got 'no-such', which is no folder here, and K",
    ):
        _load("no-such")
    with pytest.raises(ValueError, match="which is a folder, and KerasHub says"):
        _load(str(tmp_path))


def test_a_preset_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("Failed to resolve\n 'api.kaggle.com'")

    monkeypatch.setattr("keras_hub.src.utils.preset_utils.get_file", fail)
    with pytest.raises(
        ValueError,
        match=r"KerasHub says \"Failed to resolve 'api.kaggle.com'\": download it where there is",
    ):
        _load("vit_base_patch16_224_imagenet21k")


def test_a_preset_of_another_task(tmp_path: Path) -> None:
    keras_hub.models.BertBackbone(
        vocabulary_size=9, num_layers=1, num_heads=1, hidden_dim=4, intermediate_dim=4
    ).save_to_preset(tmp_path)
    with pytest.raises(ValueError, match=r"a preset must be an image classifier's: .* a folder"):
        _load(str(tmp_path))


def test_a_preset_that_does_not_say_how_to_scale(preset: str, tmp_path: Path) -> None:
    classifier = keras_hub.models.ImageClassifier.from_preset(preset)
    classifier.preprocessor = None
    classifier.save_to_preset(tmp_path)
    with pytest.raises(
        ValueError, match=r"must say how pixels are scaled, .* which has none: save"
    ):
        _load(str(tmp_path))


def test_a_size_that_patches_do_not_tile(preset: str) -> None:
    with pytest.raises(
        ValueError,
        match=r"multiple of the backbone's patch size; got image_size=18 and patches of 4: .* 20",
    ):
        _load(preset, image_size=18)


@pytest.mark.parametrize("image_size", [SIZE, 2 * SIZE])
def test_it_computes_in_the_dtype_policy_of_the_moment(preset: str, image_size: int) -> None:
    with dtype_policy("mixed_bfloat16"):
        half = load_image_classifier(preset, num_classes=CLASSES, image_size=image_size)
    full = load_image_classifier(preset, num_classes=CLASSES, image_size=image_size)
    kernels = [layer for layer in half._flatten_layers() if hasattr(layer, "kernel")]
    dtypes = [layer.compute_dtype for layer in kernels]
    assert set(dtypes) == {"bfloat16", "float32"}
    assert dtypes.count("float32") == 1, "the head"
    assert half.output.dtype == "float32"
    half.set_weights(full.get_weights())  # the new heads differ
    pixels = np.random.default_rng(0).integers(0, 256, (2, image_size, image_size, 3))
    # Each of some dozens of operations rounds values around 1 by up to 2**-9.
    np.testing.assert_allclose(half(pixels), full(pixels), atol=48 * 2**-9)
