"""How a vocabulary rewrites text before it cuts it; stored in the vocabulary's file."""

import sys
from functools import cache
from typing import Any

NORMALIZATIONS = ("nfkc", "nmt_nfkc", "identity")


def normalizer(normalization: str, *, lower: bool) -> Any:
    """Makes the rules that sentencepiece compiles into a vocabulary.

    Lower-casing is `str.lower` character by character, after the normalization. sentencepiece's
    own rules fold the case instead, which writes "Straße" as "strasse".

    Args:
        normalization: "nfkc" and "nmt_nfkc", sentencepiece's rules of these names, which also
            take away blanks at the ends and repeated ones, or "identity", which keeps all.
        lower: Whether to write capital letters small.

    Returns:
        A `sentencepiece.SentencePieceNormalizer`.

    Raises:
        ValueError: If there are no rules of that name.

    Example:
    >>> rules = normalizer("nfkc", lower=True)
    >>> rules.normalize(" Große  ﬁsche").replace("▁", " ")
    ' große fische'
    """
    import sentencepiece

    if normalization not in NORMALIZATIONS:
        raise ValueError(
            f"`normalization` must be one of {', '.join(NORMALIZATIONS)}. "
            f"Received: normalization={normalization!r}"
        )
    keeps_blanks = normalization == "identity"
    return sentencepiece.SentencePieceNormalizer(
        **({"norm_map": _lower_map(normalization)} if lower else {"rule_name": normalization}),
        add_dummy_prefix=True,
        escape_whitespaces=True,
        remove_extra_whitespaces=not keeps_blanks,
    )


@cache
def _lower_map(normalization: str) -> list[tuple[str, str]]:
    import sentencepiece

    rules = {text: _lower(text) for text in _capitals()}
    if normalization != "identity":
        normalized = sentencepiece.SentencePieceNormalizer(rule_name=normalization).Decompile()
        rules |= {text: _lower(result) for text, result in normalized}
    return list(rules.items())


def _lower(text: str) -> str:
    # One character at a time, as the rules see it: the word's end makes no final sigma.
    return "".join(character.lower() for character in text)


def _capitals() -> list[str]:
    return [c for c in map(chr, range(sys.maxunicode + 1)) if c.lower() != c]
