"""Moses' tokens: words and punctuation set apart, as the papers on translation count them."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from rdrop_tf._optional import require

# sacremoses has other rules for the languages that Moses knows besides, and Chinese is not
# written with blanks.
MOSES_LANGUAGES = (
    *("cs", "de", "el", "en", "es", "et", "fr", "hu", "is", "it"),
    *("lt", "lv", "nl", "pl", "pt", "ro", "ru", "sk", "sl"),
)


def moses_tokenize(lines: Iterable[str], language: str) -> list[str]:
    r"""Sets the tokens of each line apart by blanks, as Moses' `tokenizer.perl -l LANGUAGE` does.

    Characters with a meaning of their own in Moses are written as XML does: `'` is `&apos;`. The
    rules are those of sacremoses, and one of the script's that it has not: a full stop at the end
    of the line always is a token of its own. On Multi30k's 31,014 pairs the English and German
    tokens are the script's.

    Args:
        lines: Plain text, not lower-cased: a full stop before a small letter ends no sentence.
        language: Its code, one of `MOSES_LANGUAGES`.

    Returns:
        As many lines.

    Raises:
        ValueError: If Moses' rules for the language are not known here.
        ImportError: If sacremoses is missing.

    Example:
    >>> moses_tokenize(["Dr. Smith isn't here, nor am I."], "en")
    ['Dr. Smith isn &apos;t here , nor am I .']
    """
    tokenizer = _tokenizer(language)
    return [_last_stop_apart(tokenizer.tokenize(line, return_str=True)) for line in lines]


@cache
def _tokenizer(language: str) -> Any:
    if language not in MOSES_LANGUAGES:
        raise ValueError(
            f"Moses' tokens are defined for {', '.join(MOSES_LANGUAGES)}; got {language!r}: "
            "take sacreBLEU or chrF, which tokenize by themselves"
        )
    require("sacremoses", extra="text")
    from sacremoses import MosesTokenizer

    return MosesTokenizer(lang=language)


def _last_stop_apart(tokens: str) -> str:
    ends_with_one_stop = tokens.endswith(".") and tokens[-2:] not in (".", " .", "..")
    return f"{tokens[:-1]} ." if ends_with_one_stop else tokens
