"""sentencepiece's vocabularies with this package's special ids."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdrop_tf.text.special_ids import NUMBER_OF_SPECIAL_IDS

# sentencepiece writes a blank as this character.
_BLANK = "\u2581"
_LAST_CHARACTER = 0x10FFFF


class SentencePieceSegmenter:
    """Cuts text with a sentencepiece model, whoever trained it.

    Ids 0 to 3 are padding, start, end and unknown; the model's other pieces follow in its own
    order. A model trained here has this order already. One that lacks a special id (often
    padding) never gives that id, and decoding it gives nothing.

    Args:
        model: The contents of a `.model` file.

    Raises:
        ValueError: If sentencepiece cannot read it.
    """

    def __init__(self, model: bytes) -> None:
        import sentencepiece

        # It says on stderr which rules it loads.
        sentencepiece.set_min_log_level(2)
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except (RuntimeError, OSError, ValueError) as error:
            raise ValueError(
                f"a sentencepiece model must be the contents of a .model file; {error}"
            ) from error
        pieces = self._processor.get_piece_size()
        special = [self._processor.pad_id(), self._processor.bos_id()]
        special += [self._processor.eos_id(), self._processor.unk_id()]
        others = [piece for piece in range(pieces) if piece not in special]
        # Of an id its piece, -1 for none, and of a piece its id.
        self._pieces = np.array([*special, *others], dtype=np.int64)
        self._ids = np.zeros(pieces, dtype=np.int64)
        present = self._pieces >= 0
        self._ids[self._pieces[present]] = np.flatnonzero(present)
        self._bytes = [self._byte_piece(byte) for byte in range(256)]
        self._is_bpe = self._scores_are_ranks()

    @property
    def size(self) -> int:
        """Number of ids."""
        return len(self._pieces)

    def encode(self, lines: Sequence[str], dropout: float, seed: int) -> list[list[int]]:
        """Cuts lines; see `Subwords.encode`."""
        import sentencepiece

        sampling: dict[str, Any] = {}
        if dropout:
            # Of BPE `alpha` is the share of merges left out, of a unigram model the exponent of
            # the probabilities.
            alpha = dropout if self._is_bpe else 1 - dropout
            sampling = {"enable_sampling": True, "alpha": alpha, "nbest_size": -1}
            sentencepiece.set_random_generator_seed(seed)
        marks = [self._mark(line) for line in lines]
        marked = [
            line.replace(_BLANK, mark) if mark else line
            for line, mark in zip(lines, marks, strict=True)
        ]
        # A generator belongs to a thread and takes the seed when the thread starts: a list of
        # lines gets a new thread, a single line would not. One thread keeps the order of draws.
        rows = self._processor.encode(marked, out_type=int, num_threads=1, **sampling)
        return [
            self._ids[self._unmarked(row, mark) if mark else row].tolist() if row else []
            for row, mark in zip(rows, marks, strict=True)
        ]

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Joins rows of ids."""
        pieces = [self._pieces[list(row)] if len(row) else self._pieces[:0] for row in rows]
        return [self._processor.decode([int(p) for p in row if p >= 0]) for row in pieces]

    def to_bytes(self) -> bytes:
        """Returns the contents of a `.model` file."""
        model: bytes = self._processor.serialized_model_proto()
        return model

    @property
    def pieces(self) -> NDArray[np.int64]:
        """Of each id its number in the `.model` file, -1 where the file lacks a special id."""
        return self._pieces

    def _byte_piece(self, byte: int) -> int:
        piece = int(self._processor.piece_to_id(f"<0x{byte:02X}>"))
        return piece if self._processor.is_byte(piece) else -1

    def _scores_are_ranks(self) -> bool:
        """Tells BPE, whose pieces have minus their rank as score, from log-probabilities."""
        ordinary = [int(piece) for piece in self._pieces[NUMBER_OF_SPECIAL_IDS:]]
        return all(float(self._processor.get_score(piece)).is_integer() for piece in ordinary)

    def _mark(self, line: str) -> str:
        """Finds a character to stand for the blank's sign in a line that holds one.

        The sign itself would come back as a blank. A character the model does not know is
        written in bytes, which are then exchanged for the sign's.
        """
        if _BLANK not in line or -1 in self._bytes:
            return ""
        unknown = self._processor.unk_id()
        for code in range(_LAST_CHARACTER - 2, 0, -1):
            character = chr(code)
            if character not in line and self._processor.piece_to_id(character) == unknown:
                return character
        raise AssertionError("a line cannot hold every character")

    def _unmarked(self, row: list[int], mark: str) -> list[int]:
        old = [self._bytes[byte] for byte in mark.encode("utf-8")]
        new = [self._bytes[byte] for byte in _BLANK.encode("utf-8")]
        out: list[int] = []
        for piece in row:
            out.append(piece)
            if out[-len(old) :] == old:
                out[-len(old) :] = new
        return out
