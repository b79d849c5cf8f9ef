"""Training a vocabulary of subwords with sentencepiece."""

import io
import re
from collections.abc import Iterable

from rdrop_tf.text.special_ids import END_ID, PAD_ID, START_ID, UNKNOWN_ID
from rdrop_tf.text.subwords_normalization import normalizer

KINDS = ("bpe", "unigram")
# sentencepiece would leave out every line that holds one of the two characters it reserves.
_RESERVED = re.compile("[\u2581\u2585]")
# Longer lines would be left out as well: as long as its 32 bits allow.
_LONGEST_LINE = 2**30
# Sums of floats depend on how they are split, so the number is fixed, whatever the machine.
_THREADS = 4


def train_sentencepiece(
    lines: Iterable[str],
    size: int,
    *,
    kind: str = "bpe",
    lower: bool = False,
    normalization: str = "nfkc",
    character_coverage: float = 1.0,
) -> bytes:
    """Trains a vocabulary, quietly and with the same result each time.

    Args:
        lines: The text; is read once.
        size: Number of subwords, with four special ids and 256 bytes.
        kind: "bpe" or "unigram".
        lower: Whether to write capital letters small.
        normalization: See `normalizer`.
        character_coverage: Share of the text's characters that get an id of their own; the
            rare rest is written in bytes.

    Returns:
        The contents of a sentencepiece `.model` file.

    Raises:
        ValueError: If an argument is none of these, there is no text, or `size` is too large
            or too small for it.

    Example:
    >>> len(train_sentencepiece(["a cat", "a cat and a dog"], 275)) > 0
    True
    """
    import sentencepiece

    _check(size, kind, character_coverage)
    sentencepiece.set_min_log_level(2)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(_RESERVED.sub(" ", line) for line in lines),
            model_writer=model,
            vocab_size=size,
            model_type=kind,
            normalizer=normalizer(normalization, lower=lower),
            character_coverage=character_coverage,
            byte_fallback=True,
            allow_whitespace_only_pieces=normalization == "identity",
            pad_id=PAD_ID,
            bos_id=START_ID,
            eos_id=END_ID,
            unk_id=UNKNOWN_ID,
            max_sentence_length=_LONGEST_LINE,
            num_threads=_THREADS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise _explained(str(error), size) from error
    return model.getvalue()


def _check(size: int, kind: str, character_coverage: float) -> None:
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"`size` must be a whole number >= 1. Received: size={size!r}")
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}")
    if not 0 < character_coverage <= 1:
        raise ValueError(
            "`character_coverage` must be above 0 and at most 1. "
            f"Received: character_coverage={character_coverage!r}"
        )


def _explained(message: str, size: int) -> Exception:
    """Turns sentencepiece's message about its source code into one about the arguments."""
    if too_high := re.search(r"Vocabulary size too high .* value <= (\d+)", message):
        return ValueError(
            f"the text must support as many subwords as are asked for, and supports at most "
            f"{too_high[1]}; got {size}: ask for fewer or give more text"
        )
    if too_small := re.search(r"smaller than required_chars. \d+ vs (\d+)", message):
        return ValueError(
            f"the vocabulary must hold 4 special ids, 256 bytes and the text's characters, "
            f"{too_small[1]} in all; got a size of {size}: raise it, or lower "
            "character_coverage, so that rare characters are written in bytes"
        )
    if "!sentences_.empty()" in message or "all_chars_count) > (0)" in message:
        return ValueError("a vocabulary is trained on at least one line of text; got none")
    return RuntimeError(f"sentencepiece could not train a vocabulary of {size}: {message}")
