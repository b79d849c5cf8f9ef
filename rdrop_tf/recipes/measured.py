"""What was measured on each recipe, from a file that `tools/keep_results.py` writes."""

import json
from importlib import resources

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
    file = resources.files("rdrop_tf.recipes") / "measured.json"
    kept: dict[str, list[str]] = json.loads(file.read_text(encoding="utf-8"))
    return kept.get(name, [NOT_MEASURED])
