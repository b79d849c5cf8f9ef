"""BPE in the form of subword-nmt and fairseq: a file of merges and a dictionary."""

import io
import json
import random
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from rdrop_tf._optional import require
from rdrop_tf.text.special_ids import NUMBER_OF_SPECIAL_IDS, UNKNOWN_ID

_JOIN = "@@"
_UNKNOWN = "<unk>"


class SubwordNmtSegmenter:
    """Cuts text of words between blanks with subword-nmt.

    Ids 0 to 3 are padding, start, end and unknown; the dictionary's tokens follow in its own
    order, as they do in fairseq (whose 0 and 1 are start and padding).

    Args:
        codes: Contents of a file of merges.
        dictionary: Contents of fairseq's `dict.txt`: a token and a count a line.

    Raises:
        ValueError: If a line of either is not of its form, or a token is there twice.
        ImportError: If subword-nmt is missing.
    """

    def __init__(self, codes: str, dictionary: str) -> None:
        require("subword_nmt", extra="text")
        _check_codes(codes)
        self._codes = codes
        self._dictionary = dictionary
        self._tokens = _read_dictionary(dictionary)
        self._ids = {token: i for i, token in enumerate(self._tokens, NUMBER_OF_SPECIAL_IDS)}
        self._bpe: Any = import_module("subword_nmt.apply_bpe").BPE(io.StringIO(codes))

    @property
    def size(self) -> int:
        """Number of ids."""
        return NUMBER_OF_SPECIAL_IDS + len(self._tokens)

    def encode(self, lines: Sequence[str], dropout: float, seed: int) -> list[list[int]]:
        """Cuts lines; see `Subwords.encode`."""
        segmented = self._noisy(lines, dropout, seed) if dropout else self._segment(lines, 0.0)
        return [[self._ids.get(token, UNKNOWN_ID) for token in row] for row in segmented]

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Joins rows of ids as fairseq does."""
        names = ["", "", "", _UNKNOWN, *self._tokens]
        joined = (" ".join(filter(None, (names[i] for i in row))) + " " for row in rows)
        return [line.replace(_JOIN + " ", "").rstrip(" ") for line in joined]

    def to_bytes(self) -> bytes:
        """Returns both files as one."""
        parts = {"kind": "subword-nmt", "codes": self._codes, "dictionary": self._dictionary}
        return json.dumps(parts, ensure_ascii=False).encode("utf-8")

    def _segment(self, lines: Sequence[str], dropout: float) -> list[list[str]]:
        return [self._bpe.segment_tokens(line.split(" "), dropout) for line in lines]

    def _noisy(self, lines: Sequence[str], dropout: float, seed: int) -> list[list[str]]:
        """Draws from Python's generator, which subword-nmt uses, and leaves it as it was."""
        state, remembered = random.getstate(), self._bpe.cache
        random.seed(seed)
        # What it draws for a word would be remembered as the word's segmentation.
        self._bpe.cache = {}
        try:
            return self._segment(lines, dropout)
        finally:
            self._bpe.cache = remembered
            random.setstate(state)


def read_subword_nmt(contents: bytes) -> SubwordNmtSegmenter:
    """Reads what `SubwordNmtSegmenter.to_bytes` returned.

    Args:
        contents: Of a file.

    Returns:
        The segmenter.

    Raises:
        ValueError: If the contents are something else.
    """
    try:
        parts = json.loads(contents)
        codes, dictionary = parts["codes"], parts["dictionary"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            "a vocabulary of subword-nmt must be the file that `Subwords.save` wrote; got json "
            "without codes and dictionary"
        ) from error
    return SubwordNmtSegmenter(codes, dictionary)


def _check_codes(codes: str) -> None:
    """Finds what subword-nmt would end the process for."""
    lines = codes.rstrip("\n").split("\n")
    has_version = lines[0].startswith("#version:")
    for number, line in enumerate(lines[has_version:], 1 + has_version):
        if len(line.strip("\r\n ").split(" ")) != 2:
            raise ValueError(
                f"a line of BPE codes must hold two subwords with a blank between; got line "
                f"{number}: {line[:60]!r}"
            )


def _read_dictionary(dictionary: str) -> list[str]:
    tokens = []
    for number, line in enumerate(dictionary.rstrip("\n").split("\n"), 1):
        token, _, count = line.rstrip("\r\n").rpartition(" ")
        if not token or not count.isdecimal():
            raise ValueError(
                "a line of fairseq's dictionary must hold a token, a blank and a count; got line "
                f"{number}: {line[:60]!r}"
            )
        tokens.append(token)
    repeated = [token for token, times in Counter(tokens).items() if times > 1]
    if repeated:
        raise ValueError(
            f"a token of fairseq's dictionary must be there once; got {repeated[0]!r} twice"
        )
    return tokens
