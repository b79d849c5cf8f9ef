"""What was wrong with lines of text that were read."""

from dataclasses import dataclass, field

_NAMED_PLACES = 3


@dataclass
class ReadingReport:
    """Counts of lines, and of what was wrong with some of them.

    A line with several faults is counted under the first one found.

    Attributes:
        lines: Number of lines looked at.
        kept: Number of pairs kept.
        counts: Of each fault the number of lines.
        places: Of each fault where the first few lines are, as "file:line".
        what: What the lines are, and what was done with them.

    Example:
    >>> report = ReadingReport()
    >>> report.lines, report.kept = 3, 2
    >>> report.add("empty", "train.de:2")
    >>> print(report)
    3 lines read, 2 pairs kept; 1 empty (train.de:2)
    """

    lines: int = 0
    kept: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)
    what: str = "lines read"

    def add(self, fault: str, place: str) -> None:
        """Counts a line's fault.

        Args:
            fault: What is wrong.
            place: File and line.
        """
        self.counts[fault] = self.counts.get(fault, 0) + 1
        named = self.places.setdefault(fault, [])
        if len(named) < _NAMED_PLACES:
            named.append(place)

    def __str__(self) -> str:
        faults = [
            f"{count} {fault} ({', '.join(self.places[fault])}"
            f"{', …' if count > len(self.places[fault]) else ''})"
            for fault, count in self.counts.items()
        ]
        total = f"{self.lines} {self.what}, {self.kept} pairs kept"
        return "; ".join([total, *faults])
