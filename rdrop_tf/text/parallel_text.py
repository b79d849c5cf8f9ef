"""Pairs of texts, and the rules by which lines become pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rdrop_tf.text.reading_report import ReadingReport


@dataclass
class ParallelText:
    """Texts and their translations, line by line, with an account of how they were read.

    Attributes:
        source: The texts.
        target: Their translations.
        report: What was left out, or kept in spite of a fault.

    Example:
    >>> len(ParallelText(["ein Hund"], ["a dog"]))
    1
    """

    source: list[str] = field(default_factory=list)
    target: list[str] = field(default_factory=list)
    report: ReadingReport = field(default_factory=ReadingReport)

    def __len__(self) -> int:
        return len(self.source)


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
        text.source.append(decoded[0])
        text.target.append(decoded[1])


def _fault(text: str, raw: bytes, place: str, rules: Rules) -> tuple[str, str] | None:
    # Only a replaced character makes the length or the text itself differ.
    if "\ufffd" in text and text.encode("utf-8") != raw:
        return "not UTF-8", place
    if not text.strip():
        return "empty", place
    if rules.max_characters is not None and len(text) > rules.max_characters:
        return f"longer than {rules.max_characters} characters", place
    return None
