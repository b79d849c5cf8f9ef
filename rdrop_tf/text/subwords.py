"""Vocabularies of subwords."""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rdrop_tf._optional import require
from rdrop_tf.text.sentencepiece_segmenter import SentencePieceSegmenter
from rdrop_tf.text.special_ids import END_ID, PAD_ID, START_ID, UNKNOWN_ID
from rdrop_tf.text.subword_nmt_segmenter import SubwordNmtSegmenter, read_subword_nmt
from rdrop_tf.text.subwords_training import train_sentencepiece


class Segmenter(Protocol):
    """What cuts lines for `Subwords`, with its special ids."""

    @property
    def size(self) -> int:
        """Number of ids."""

    def encode(self, lines: Sequence[str], dropout: float, seed: int) -> list[list[int]]:
        """Cuts lines."""

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Joins rows of ids that hold no special one but unknown."""

    def to_bytes(self) -> bytes:
        """Returns the contents of a file."""


class Subwords:
    """A vocabulary of subwords: lines to ids and back.

    The ids 0, 1, 2 and 3 are padding, start, end and unknown in every vocabulary, whoever made
    it: those of a sentencepiece model that has them elsewhere are moved to the front, and its
    other pieces keep their order.

    What comes back: a vocabulary trained here with `normalization="identity"` returns every
    text unchanged, character by character, as what it does not know is written in bytes. The
    other normalizations return the normalized text: compatibility characters replaced, blanks
    at the ends and repeated ones taken away, and capital letters small with `lower`. A line
    break is a character like any other. subword-nmt returns words it can spell with its
    dictionary and one blank between them.

    Args:
        segmenter: What cuts; made by `train`, `load` and `from_subword_nmt`.

    Example:
    >>> subwords = Subwords.train(["a cat", "a cat and a dog"], 275)
    >>> ids = subwords.encode(["a cat", "Katze!"])
    >>> subwords.decode(ids)
    ['a cat', 'Katze!']
    >>> subwords.pad_id, subwords.start_id, subwords.end_id, subwords.unknown_id, subwords.size
    (0, 1, 2, 3, 275)
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter

    @classmethod
    def train(
        cls,
        lines: Iterable[str],
        size: int,
        *,
        kind: str = "bpe",
        lower: bool = False,
        normalization: str = "nfkc",
        character_coverage: float = 1.0,
    ) -> "Subwords":
        """Trains a vocabulary with sentencepiece; the same lines give the same one.

        Args:
            lines: The text, of both languages for a joint vocabulary; read once.
            size: Number of subwords, the 4 special ids and 256 bytes included.
            kind: "bpe" or "unigram".
            lower: Whether to write capital letters small, in training and ever after.
            normalization: "nfkc", "nmt_nfkc" or "identity"; part of the vocabulary.
            character_coverage: Share of the text's characters that get an id of their own;
                lower it for languages of very many characters.

        Returns:
            The vocabulary.

        Raises:
            ValueError: If an argument is none of these, there is no text, or `size` is larger
                than the text supports (the largest possible one is named) or too small for its
                characters.
            TypeError: If `lines` is one text.
            ImportError: If sentencepiece is missing.
        """
        _check_lines(lines)
        require("sentencepiece", extra="text")
        model = train_sentencepiece(
            lines,
            size,
            kind=kind,
            lower=lower,
            normalization=normalization,
            character_coverage=character_coverage,
        )
        return cls(SentencePieceSegmenter(model))

    @classmethod
    def load(cls, path: str | Path) -> "Subwords":
        """Reads a vocabulary: one that was saved, or any `.model` file of sentencepiece.

        Args:
            path: The file.

        Returns:
            The vocabulary.

        Raises:
            ValueError: If the file is neither.
            ImportError: If the package it needs is missing.
        """
        contents = Path(path).read_bytes()
        try:
            if contents.startswith(b"{"):
                return cls(read_subword_nmt(contents))
            require("sentencepiece", extra="text")
            return cls(SentencePieceSegmenter(contents))
        except ValueError as error:
            raise ValueError(f"{str(path)!r} holds no vocabulary: {error}") from error

    @classmethod
    def from_subword_nmt(cls, codes: str | Path, dictionary: str | Path) -> "Subwords":
        """Reads a vocabulary of subword-nmt and fairseq.

        Lines to encode must hold what that vocabulary was trained on: usually words and
        punctuation that Moses' tokenizer has put blanks between.

        Args:
            codes: The file of merges that `subword-nmt learn-bpe` wrote.
            dictionary: The `dict.txt` that `fairseq-preprocess` wrote.

        Returns:
            The vocabulary.

        Raises:
            ValueError: If a line of a file is not of its form.
            ImportError: If subword-nmt is missing.
        """
        return cls(SubwordNmtSegmenter(*(_utf8(Path(path)) for path in (codes, dictionary))))

    @property
    def pad_id(self) -> int:
        """Id that fills rows up."""
        return PAD_ID

    @property
    def start_id(self) -> int:
        """Id before the first token of a target."""
        return START_ID

    @property
    def end_id(self) -> int:
        """Id after the last token."""
        return END_ID

    @property
    def unknown_id(self) -> int:
        """Id of what the vocabulary cannot write; never given by one trained here."""
        return UNKNOWN_ID

    @property
    def size(self) -> int:
        """Number of ids."""
        return self._segmenter.size

    def save(self, path: str | Path) -> None:
        """Writes the vocabulary to one file; a sentencepiece model stays one, unchanged.

        Args:
            path: The file.
        """
        Path(path).write_bytes(self._segmenter.to_bytes())

    def sentencepiece_model(self) -> tuple[bytes, NDArray[np.int64]]:
        """Returns the contents of the `.model` file, for other code that reads such files.

        Returns:
            The contents, and of each id its number there: -1 where the file lacks a special id.

        Raises:
            ValueError: If the vocabulary is subword-nmt's.
        """
        if not isinstance(self._segmenter, SentencePieceSegmenter):
            raise ValueError("a vocabulary of sentencepiece is needed; got one of subword-nmt")
        return self._segmenter.to_bytes(), self._segmenter.pieces

    def encode(
        self, lines: Sequence[str], *, dropout: float = 0.0, seed: int | None = None
    ) -> list[list[int]]:
        """Cuts lines into subwords.

        Args:
            lines: The text.
            dropout: Of BPE the share of merges that are left out, drawn anew for each (BPE
                dropout, Provilkov et al. 2020). Of a unigram model the segmentation is drawn
                with probabilities proportional to P(segmentation)^(1 - dropout) (subword
                regularization, Kudo 2018). 0 gives the one best segmentation.
            seed: Of the draws: the same lines, dropout and seed give the same ids. None takes
                one from Python's generator.

        Returns:
            The ids of each line, without start and end; none for an empty line.

        Raises:
            ValueError: If `dropout` is not at least 0 and below 1.
            TypeError: If `lines` is one text.
        """
        _check_lines(lines)
        if not 0 <= dropout < 1:
            raise ValueError(
                f"`dropout` must be at least 0 and below 1. Received: dropout={dropout!r}"
            )
        if dropout and seed is None:
            seed = random.getrandbits(32)
        return self._segmenter.encode(lines, dropout, (seed or 0) % 2**32)

    def decode(self, ids: Iterable[Sequence[int]]) -> list[str]:
        """Joins subwords to lines.

        Args:
            ids: Rows of ids, such as a batch's matrix. Start is left out; the first end or
                padding ends a row.

        Returns:
            A line for each row.

        Raises:
            ValueError: If an id is not of this vocabulary.
        """
        return self._segmenter.decode([self._content(row) for row in ids])

    def _content(self, row: Sequence[int]) -> list[int]:
        content = []
        for i in map(int, row):
            if i in (PAD_ID, END_ID):
                break
            if not 0 <= i < self.size:
                raise ValueError(
                    f"an id must be at least 0 and below the vocabulary's size {self.size}; got "
                    f"{i}: it comes from another vocabulary"
                )
            if i != START_ID:
                content.append(i)
        return content


def _check_lines(lines: Iterable[str]) -> None:
    if isinstance(lines, str):
        raise TypeError(f"`lines` must be a list of texts; got one: {lines[:60]!r}")


def _utf8(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"codes and dictionary must be UTF-8; got {str(path)!r}, which is not in line {line}"
        ) from error
