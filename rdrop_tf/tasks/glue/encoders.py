"""Text classifiers on pre-trained encoders, through KerasHub."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rdrop_tf._optional import require

RANDOM_TINY = "random-tiny"
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
    return _loaded(
        preset,
        lambda: keras_hub.models.TextClassifierPreprocessor.from_preset(
            preset, sequence_length=sequence_length
        ),
    )


def load_classifier(
    preset: str, *, outputs: int, sequence_length: int, preprocessor: Any, lora: int | None = None
) -> Any:
    """Makes a KerasHub text classifier with a new head.

    Args:
        preset: A KerasHub preset's name or handle, a folder in KerasHub's or the Hugging Face
            layout, or "random-tiny": a small BERT with random weights.
        outputs: Units of the head.
        sequence_length: The most tokens a row will have.
        preprocessor: What `load_preprocessor` returned, None for inputs that are tokens already.
        lora: The rank of the low-rank updates that are trained in place of the encoder's own
            weights; None trains them all.

    Returns:
        A `keras_hub.models.TextClassifier` that gives logits.

    Raises:
        ImportError: If KerasHub is missing.
        ValueError: If there is no such preset, it is none of a text encoder, or it takes fewer
            tokens.
    """
    require("keras_hub", extra="hub")
    import keras_hub

    if preset == RANDOM_TINY:
        classifier = _random_tiny(outputs, sequence_length, preprocessor)
    else:
        classifier = _loaded(
            preset,
            lambda: keras_hub.models.TextClassifier.from_preset(
                preset, num_classes=outputs, preprocessor=preprocessor
            ),
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


def _loaded(preset: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    # KerasHub, its downloaders and its converters raise nearly anything, in many lines.
    except Exception as error:
        where = "a folder" if Path(preset).is_dir() else "no folder here"
        reason = " ".join(str(error).split())[:160]
        raise ValueError(
            "a preset must be a text encoder's: a folder, or a name that KerasHub has downloaded "
            f"before or can download now; got {preset!r}, which is {where}, and KerasHub says "
            f"{reason!r}: download it where there is network and give its folder, or try "
            f"{RANDOM_TINY}"
        ) from error


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
