"""Text classifiers on pre-trained encoders, through KerasHub."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from rdrop_tf._optional import require
from rdrop_tf.tasks.presets import load_preset

RANDOM_TINY = "random-tiny"
KIND, INSTEAD = "a text encoder", f", or try {RANDOM_TINY}"
VOCABULARY_SIZE = 4000
RESERVED_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TINY = {
    "num_layers": 2,
    "num_heads": 4,
    "hidden_dim": 128,
    "intermediate_dim": 256,
    "dropout": 0.1,
}


def load_preprocessor(
    preset: str,
    *,
    sequence_length: int,
    texts: Iterable[str] = (),
    vocabulary: Sequence[str] | None = None,
) -> Any:
    """Makes what turns texts into the inputs of a preset's encoder.

    Args:
        preset: As for `load_classifier`.
        sequence_length: Tokens a row.
        texts: What "random-tiny" makes its vocabulary from; read by no other preset.
        vocabulary: That of "random-tiny", where it was made before.

    Returns:
        A `keras_hub.models.TextClassifierPreprocessor`.

    Raises:
        ImportError: If KerasHub is missing.
        ValueError: If there is no such preset, or it is none of a text encoder.
    """
    require("keras_hub", extra="hub")
    import keras_hub

    if preset == RANDOM_TINY:
        return _word_pieces(vocabulary or _vocabulary_of(texts), sequence_length)
    return load_preset(
        preset,
        lambda: keras_hub.models.TextClassifierPreprocessor.from_preset(
            preset, sequence_length=sequence_length
        ),
        kind=KIND,
        instead=INSTEAD,
    )


def load_classifier(
    preset: str,
    *,
    outputs: int,
    sequence_length: int,
    preprocessor: Any,
    lora: int | None = None,
    sha256: str | None = None,
) -> Any:
    """Makes a KerasHub text classifier with a new head, in Keras' dtype policy of the moment.

    Args:
        preset: A KerasHub preset's name or handle, a folder in KerasHub's or the Hugging Face
            layout, or "random-tiny": a small BERT with random weights.
        outputs: Units of the head.
        sequence_length: The most tokens a row will have.
        preprocessor: What `load_preprocessor` returned, None for inputs that are tokens already.
        lora: The rank of the low-rank updates that are trained in place of the encoder's own
            weights; None trains them all.
        sha256: What the file of the preset's weights (model.weights.h5 or model.safetensors)
            must have; None for any.

    Returns:
        A `keras_hub.models.TextClassifier` that gives logits.

    Raises:
        ImportError: If KerasHub is missing.
        ValueError: If there is no such preset, it is none of a text encoder, its weights are
            others, or it takes fewer tokens.
    """
    require("keras_hub", extra="hub")
    import keras_hub

    if preset == RANDOM_TINY and sha256 is not None:
        raise ValueError(
            f"a SHA-256 must be that of a preset's weights; got {sha256} for {RANDOM_TINY}, whose "
            "weights are made here: leave it out"
        )
    if preset == RANDOM_TINY:
        classifier = _random_tiny(outputs, sequence_length, preprocessor)
    else:
        classifier = load_preset(
            preset,
            lambda: keras_hub.models.TextClassifier.from_preset(
                preset,
                num_classes=outputs,
                preprocessor=preprocessor,
                dtype=keras.config.dtype_policy(),
            ),
            kind=KIND,
            sha256=sha256,
            instead=INSTEAD,
        )
    _check_length(preset, classifier.backbone, sequence_length)
    if lora is not None:
        _train_low_rank_updates(classifier.backbone, lora)
    return classifier


def _train_low_rank_updates(backbone: Any, rank: int) -> None:
    backbone.enable_lora(rank)
    # Keras goes on training the biases of the layers that it updates.
    for variable in backbone.trainable_variables:
        variable.trainable = variable.name.startswith("lora_")


def _vocabulary_of(texts: Iterable[str]) -> list[str]:
    import keras_hub
    import tensorflow as tf

    words: list[str] = keras_hub.tokenizers.compute_word_piece_vocabulary(
        tf.data.Dataset.from_tensor_slices(list(texts)).batch(1000),
        vocabulary_size=VOCABULARY_SIZE,
        lowercase=True,
        reserved_tokens=RESERVED_TOKENS,
    )
    return words


def _word_pieces(vocabulary: Sequence[str], sequence_length: int) -> Any:
    import keras_hub

    tokenizer = keras_hub.models.BertTokenizer(vocabulary=list(vocabulary), lowercase=True)
    return keras_hub.models.BertTextClassifierPreprocessor(
        tokenizer, sequence_length=sequence_length
    )


def _random_tiny(outputs: int, sequence_length: int, preprocessor: Any) -> Any:
    import keras_hub

    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=preprocessor.tokenizer.vocabulary_size(),
        max_sequence_length=sequence_length,
        **TINY,
    )
    return keras_hub.models.BertTextClassifier(
        backbone, num_classes=outputs, preprocessor=preprocessor
    )


def _check_length(preset: str, backbone: Any, sequence_length: int) -> None:
    longest = getattr(backbone, "max_sequence_length", None)
    if longest is not None and sequence_length > longest:
        raise ValueError(
            f"the sequence length must not be above the encoder's; got {sequence_length}, and "
            f"{preset!r} takes {longest} tokens: lower it"
        )
