"""Labels of GLUE's tsv files: class numbers or scores."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdrop_tf.tasks.glue.dataset import HIGHEST_SCORE, GlueDataset
from rdrop_tf.tasks.glue.table import Table


def read_labels(dataset: GlueDataset, table: Table) -> NDArray[Any]:
    """Reads the labels of a table.

    Args:
        dataset: What the labels mean.
        table: It has the data set's column of labels.

    Returns:
        Class numbers (int32) or scores (float32), shape (rows,).

    Raises:
        ValueError: If a label is none of the data set's; file, line and value are named.

    Example:
    >>> from pathlib import Path
    >>> from rdrop_tf.tasks.glue import find_glue_dataset
    >>> table = Table(Path("dev.tsv"), {"label": ["entailment"]}, [2], [0])
    >>> read_labels(find_glue_dataset("RTE"), table).tolist()
    [0]
    """
    words = table.columns[dataset.label]
    if dataset.is_regression:
        scores = [_score(table, row, word) for row, word in enumerate(words)]
        return np.array(scores, np.float32)
    numbers = {spelling: number for number, spelling in enumerate(dataset.spellings)}
    for row, word in enumerate(words):
        if word not in numbers:
            rule = f"one of {', '.join(map(repr, numbers))}"
            raise _no_label(dataset.label, rule, table, row, word)
    return np.array([numbers[word] for word in words], np.int32)


def _score(table: Table, row: int, word: str) -> float:
    try:
        score = float(word)
    except ValueError:
        score = math.nan
    if not 0 <= score <= HIGHEST_SCORE:
        raise _no_label("score", f"a number from 0 to {HIGHEST_SCORE:g}", table, row, word)
    return score


def _no_label(column: str, rule: str, table: Table, row: int, word: str) -> ValueError:
    return ValueError(
        f"the column {column!r} must hold {rule}; got {word!r} in {str(table.path)!r}, "
        f"line {table.lines[row]}: mend the line or use the official file"
    )
