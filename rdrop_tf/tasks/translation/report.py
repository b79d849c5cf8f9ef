"""What is said of translations beside their figures: signatures, intervals, paired tests."""

from collections.abc import Sequence

from rdrop_tf.metrics.bootstrap import bleu_interval
from rdrop_tf.metrics.paired import compare_translations
from rdrop_tf.metrics.translation import translation_figures


def signed_figures(
    hypotheses: Sequence[str], references: Sequence[str], *, language: str, lowercase: bool
) -> list[str]:
    """Says each figure with the signature that makes it comparable, and sacreBLEU's interval.

    Args:
        hypotheses: Translations.
        references: What they should be.
        language: The code of the language translated into.
        lowercase: Whether capitals are taken for small letters.

    Returns:
        A line a figure.

    Example:
    >>> lines = signed_figures(["A dog runs."] * 3, ["A dog runs."] * 3, language="en",
    ...                        lowercase=False)
    >>> lines[0]
    'sacrebleu 100.00 (95 % interval 100.00 to 100.00) nrefs:1|case:mixed|eff:no|tok:13a|...'
    """
    figures = translation_figures(hypotheses, references, language=language, lowercase=lowercase)
    _, low, high = bleu_interval(hypotheses, references, language=language, lowercase=lowercase)
    interval = {"sacrebleu": f" (95 % interval {low:.2f} to {high:.2f})"}
    return [
        f"{name} {figure.score:.2f}{interval.get(name, '')} {figure.signature}"
        for name, figure in figures.items()
    ]


def difference_of(
    hypotheses: Sequence[str],
    others: Sequence[str],
    references: Sequence[str],
    *,
    language: str,
    lowercase: bool,
) -> str:
    """Says by how much translations are better than others, and whether chance explains it.

    Args:
        hypotheses: Translations.
        others: Those to compare with.
        references: What they should be.
        language: The code of the language translated into.
        lowercase: Whether capitals are taken for small letters.

    Returns:
        A line.

    Example:
    >>> lines = ["A big dog runs home."] * 3
    >>> found = difference_of(lines, lines, lines, language="en", lowercase=False)
    >>> found.partition(" by ")[0]
    'sacrebleu 100.00 against 100.00: difference +0.00, p = 1.0000'
    """
    found = compare_translations(
        others, hypotheses, references, language=language, lowercase=lowercase
    )
    return (
        f"sacrebleu {found.second:.2f} against {found.first:.2f}: difference "
        f"{found.difference:+.2f}, p = {found.p_value:.4f} by paired bootstrap "
        f"({found.signature})"
    )
