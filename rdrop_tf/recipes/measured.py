"""What was measured on each recipe, from a file that `tools/keep_results.py` writes."""

import json
from importlib import resources


def measured(name: str) -> list[str]:
    """Returns what was measured on a recipe.

    Args:
        name: The recipe's name.

    Returns:
        A few lines: the figures, and the command, time, machine and versions behind them.

    Example:
    >>> from rdrop_tf.recipes import measured
    >>> measured("digits")[-1].startswith("rdrop compare digits")
    True
    """
    file = resources.files("rdrop_tf.recipes") / "measured.json"
    lines: list[str] = json.loads(file.read_text(encoding="utf-8"))[name]
    return lines
