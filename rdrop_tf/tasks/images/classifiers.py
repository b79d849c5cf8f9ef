"""Image classifiers on pre-trained backbones, through KerasHub."""

from collections.abc import Mapping
from typing import Any

import keras

from rdrop_tf._optional import require
from rdrop_tf._typing import Tensor
from rdrop_tf.tasks.images.resized_backbone import resized_backbone
from rdrop_tf.tasks.precision import in_float32
from rdrop_tf.tasks.presets import load_preset

# What KerasHub's backbones call the rate of the dropout between their layers.
DROPOUT_SETTINGS = ("dropout_rate", "dropout")


def load_image_classifier(
    preset: str,
    *,
    num_classes: int,
    image_size: int,
    dropout: float | None = None,
    sha256: str | None = None,
) -> keras.Model:
    """Makes a plain Keras model of a KerasHub image classifier, with a new head.

    The preset's scaling of pixels becomes a layer, so the model takes raw pixels. Where
    `image_size` is not the preset's, a backbone of that size takes over its weights, see
    `resized_backbone`. Its layers compute in Keras' dtype policy of the moment.

    Args:
        preset: A KerasHub preset's name or handle, or a folder in KerasHub's layout.
        num_classes: How many logits come out.
        image_size: Rows (and columns) of an image.
        dropout: The rate, for the backbone where it has dropout and for the head; None leaves
            the preset's.
        sha256: What the file of the preset's weights must have; None for any.

    Returns:
        A functional model from colour images (batch, image_size, image_size, 3) with values
        0..255, uint8 or float, to logits (batch, num_classes).

    Raises:
        ImportError: If KerasHub is missing.
        ValueError: If there is no such preset, it is none of an image classifier, its weights
            are others, the backbone does not take images of this size, or there is no dropout
            to set.

    Example:
    >>> import tempfile
    >>> import keras_hub
    >>> backbone = keras_hub.models.ViTBackbone(
    ...     image_shape=(16, 16, 3), patch_size=8, num_layers=1, num_heads=2, hidden_dim=4,
    ...     mlp_dim=4)
    >>> converter = keras_hub.layers.ViTImageConverter(scale=1 / 255)
    >>> classifier = keras_hub.models.ViTImageClassifier(
    ...     backbone, 1000, keras_hub.models.ViTImageClassifierPreprocessor(converter))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     classifier.save_to_preset(folder)
    ...     model = load_image_classifier(folder, num_classes=10, image_size=32, dropout=0.1)
    >>> model.input_shape, model.output_shape
    ((None, 32, 32, 3), (None, 10))
    """
    require("keras_hub", extra="hub")
    loaded = _loaded(preset, num_classes, sha256)
    converter = _converter(preset, loaded)
    config = {**loaded.get_config(), "preprocessor": None, "activation": None}
    backbone_settings, head_settings = _dropout_settings(preset, loaded, dropout)
    config["backbone"] = resized_backbone(loaded.backbone, image_size, backbone_settings)
    classifier = type(loaded).from_config({**config, **head_settings})
    # A task of KerasHub compiles itself, also where a saved model is loaded.
    network = keras.Model(classifier.input, in_float32(classifier.output), name="classifier")
    pixels = keras.Input((image_size, image_size, 3), name="pixels")
    return keras.Model(pixels, network(_scaled(pixels, converter)), name="image_classifier")


def _loaded(preset: str, num_classes: int, sha256: str | None) -> Any:
    import keras_hub

    def load() -> Any:
        return keras_hub.models.ImageClassifier.from_preset(
            preset, num_classes=num_classes, dtype=keras.config.dtype_policy()
        )

    return load_preset(preset, load, kind="an image classifier", sha256=sha256)


def _converter(preset: str, classifier: Any) -> Any:
    converter = getattr(classifier.preprocessor, "image_converter", None)
    if converter is None:
        raise ValueError(
            "an image preset must say how pixels are scaled, by an image converter; got "
            f"{preset!r}, which has none: save the classifier with its preprocessor"
        )
    return converter


def _scaled(pixels: Tensor, converter: Any) -> Tensor:
    if converter.scale is None and converter.offset is None:
        return pixels
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    # In float32: a scale and an offset in half precision would be rounded twice.
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="scaling")(pixels)


def _dropout_settings(
    preset: str, classifier: Any, dropout: float | None
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Returns the settings to change, of the backbone and of the head."""
    if dropout is None:
        return {}, {}
    backbone = set(DROPOUT_SETTINGS) & classifier.backbone.get_config().keys()
    head = {"dropout"} & classifier.get_config().keys()
    if not backbone and not head:
        raise ValueError(
            f"the classifier must have dropout to set a rate; got dropout={dropout} and "
            f"{preset!r}, a {type(classifier).__name__}, which has none: choose another preset"
        )
    return dict.fromkeys(backbone, dropout), dict.fromkeys(head, dropout)
