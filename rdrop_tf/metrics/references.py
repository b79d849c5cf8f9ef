"""Translations and what they are measured by, side by side."""

from collections.abc import Sequence
from typing import Any

References = Sequence[str] | Sequence[Sequence[str]]


def reference_streams(hypotheses: Sequence[str], references: References) -> list[list[Any]]:
    """Makes sure that every hypothesis has its references, and sorts these as sacreBLEU takes them.

    Args:
        hypotheses: A translation a sentence; it may be empty.
        references: For each sentence its translation by a human, or a list of several.

    Returns:
        As many lists as a sentence has references at most, each with one or None a sentence.

    Raises:
        TypeError: If a sentence is no string.
        ValueError: If there is no sentence, or one without a reference, or the numbers differ.

    Example:
    >>> reference_streams(["a dog", "two cats"], [["a dog", "one dog"], ["two cats"]])
    [['a dog', 'two cats'], ['one dog', None]]
    """
    _refuse_one_text(hypotheses=hypotheses, references=references)
    if len(hypotheses) != len(references) or not len(hypotheses):
        raise ValueError(
            "hypotheses and references must be as many, sentence by sentence, and one at least; "
            f"got {len(hypotheses)} and {len(references)}: several references of a sentence go "
            "into a list of its own"
        )
    several = [(group,) if isinstance(group, str) else tuple(group) for group in references]
    for row, (hypothesis, group) in enumerate(zip(hypotheses, several, strict=True)):
        _check_sentence(row, hypothesis, group)
    most = max(map(len, several))
    return [[group[k] if k < len(group) else None for group in several] for k in range(most)]


def _refuse_one_text(**texts: Any) -> None:
    for name, value in texts.items():
        if isinstance(value, str | bytes):
            raise TypeError(
                f"{name} must be a list of sentences; got one {type(value).__name__}: split its "
                "lines first"
            )


def _check_sentence(row: int, hypothesis: Any, group: tuple[Any, ...]) -> None:
    if not group:
        raise ValueError(f"a sentence must have a reference at least; got none for sentence {row}")
    for sentence in (hypothesis, *group):
        if not isinstance(sentence, str):
            raise TypeError(
                f"a sentence must be a string; got {sentence!r}, a {type(sentence).__name__}, in "
                f"sentence {row}: decode it first"
            )
