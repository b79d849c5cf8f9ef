"""Pairs of texts, and the rules by which lines become pairs."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rdrop_tf.text.reading_report import ReadingReport


@dataclass
class ParallelText:
    """Texts and their translations, line by line, with an account of how they were read.

    Attributes:
        source: The texts.
        target: Their translations.
        report: What was left out, or kept in spite of a fault.
        name: Of the file they were read from.
        lines: The number of each pair's line in it, from 1; empty for texts that were not read.

    Example:
    >>> len(ParallelText(["ein Hund"], ["a dog"]))
    1
    """

    source: list[str] = field(default_factory=list)
    target: list[str] = field(default_factory=list)
    report: ReadingReport = field(default_factory=ReadingReport)
    name: str = "pair"
    lines: "array[int]" = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self.source)

    def place(self, pair: int) -> str:
        """Says where a pair stands: "file:line", or "pair:number" for texts that were not read.

        Args:
            pair: Its number, from 0.

        Example:
        >>> ParallelText(["ein Hund"], ["a dog"]).place(0)
        'pair:0'
        """
        return f"{self.name}:{self.lines[pair] if self.lines else pair}"

    def only(self, pairs: Iterable[int]) -> "ParallelText":
        """Returns some of the pairs, which keep their places.

        Args:
            pairs: Their numbers, from 0.

        Example:
        >>> ParallelText(["ein Hund", "zwei"], ["a dog", "two"]).only([1]).place(0)
        'pair:1'
        """
        numbers = list(pairs)
        source, target = ([side[i] for i in numbers] for side in (self.source, self.target))
        lines = array("q", (self.lines[i] if self.lines else i for i in numbers))
        return ParallelText(source, target, self.report, self.name, lines)


@dataclass(frozen=True)
class Rules:
    """Which pairs are kept.

    Attributes:
        max_characters: Length of the longest text that is kept; None for any.
        every_line: Whether a pair with a fault is counted but kept.
    """

    max_characters: int | None = None
    every_line: bool = False

    def __post_init__(self) -> None:
        if self.max_characters is not None and self.max_characters < 1:
            raise ValueError(
                "`max_characters` must be at least 1 or None. "
                f"Received: max_characters={self.max_characters!r}"
            )


def add_pair(text: ParallelText, raw: Sequence[bytes], places: Sequence[str], rules: Rules) -> None:
    """Adds one pair to a text, or counts why not.

    Args:
        text: What the pair is added to.
        raw: The bytes of source and target, without line break.
        places: Where each stands.
        rules: Which pairs are kept.

    Example:
    >>> text = ParallelText()
    >>> add_pair(text, [b"ein Hund", b" "], ["a.de:1", "a.en:1"], Rules())
    >>> print(text.report)
    1 lines read, 0 pairs kept; 1 empty (a.en:1)
    """
    fault = None
    decoded = [side.decode("utf-8", errors="replace") for side in raw]
    for side, bytes_, place in zip(decoded, raw, places, strict=True):
        fault = fault or _fault(side, bytes_, place, rules)
    text.report.lines += 1
    if fault is not None:
        text.report.add(*fault)
    if fault is None or rules.every_line:
        text.report.kept += 1
        text.lines.append(text.report.lines)
        text.source.append(decoded[0])
        text.target.append(decoded[1])


def is_empty(text: str) -> bool:
    r"""Tells whether a text holds nothing but blanks: no such text is learned or translated.

    Args:
        text: The text.

    Example:
    >>> is_empty(" \t"), is_empty("a")
    (True, False)
    """
    return not text.strip()


def _fault(text: str, raw: bytes, place: str, rules: Rules) -> tuple[str, str] | None:
    # Only a replaced character makes the length or the text itself differ.
    if "\ufffd" in text and text.encode("utf-8") != raw:
        return "not UTF-8", place
    if is_empty(text):
        return "empty", place
    if rules.max_characters is not None and len(text) > rules.max_characters:
        return f"longer than {rules.max_characters} characters", place
    return None
