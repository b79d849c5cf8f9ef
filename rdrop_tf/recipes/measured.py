"""What was measured on each recipe: comparisons that were kept, and the studies of real data."""

import json
from importlib import resources

# Written by `tools/keep_results.py` and `tools/quality_tables.py`.
FILES = ("measured.json", "measured_quality.json")
NOT_MEASURED = "not measured here"


def measured(name: str) -> list[str]:
    """Returns what was measured on a recipe.

    Args:
        name: The recipe's name.

    Returns:
        A few lines: the figures, and the command, time, machine and versions behind them; or
        one that says that there are none.

    Example:
    >>> from rdrop_tf.recipes import measured
    >>> measured("digits")[-1].startswith("rdrop compare digits")
    True
    >>> measured("mnli-roberta-large")
    ['not measured here']
    """
    kept: dict[str, list[str]] = {}
    for file in FILES:
        text = (resources.files("rdrop_tf.recipes") / file).read_text(encoding="utf-8")
        kept |= json.loads(text)
    return kept.get(name, [NOT_MEASURED])
