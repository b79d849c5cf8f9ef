"""The files that gluebenchmark.com takes."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdrop_tf.tasks.glue.dataset import HIGHEST_SCORE, GlueDataset


class Submission(NamedTuple):
    """A file that was written, how many rows it has and how many the official test set has."""

    path: Path
    rows: int
    official_rows: int

    @property
    def is_complete(self) -> bool:
        """Whether it has a row for each of the official test set."""
        return self.rows == self.official_rows

    def describe(self) -> str:
        """Says what was written, and whether it can be handed in.

        Returns:
            A sentence.

        Example:
        >>> Submission(Path("RTE.tsv"), 2, 3000).describe()
        'RTE.tsv: 2 rows; gluebenchmark.com wants the 3000 of its test set'
        """
        text = f"{self.path}: {self.rows} rows"
        if self.is_complete:
            return f"{text}, as many as the official test set"
        return f"{text}; gluebenchmark.com wants the {self.official_rows} of its test set"


def write_submission(
    folder: Path,
    dataset: GlueDataset,
    ids: ArrayLike,
    predictions: ArrayLike,
    split: str = "test",
) -> Submission:
    r"""Writes the predictions of a test split as gluebenchmark.com takes them.

    The file is named as the site wants it, MNLI's two by their split. Its header is
    `index`, a tab and `prediction`; then comes one line a row: a class name for MNLI, AX,
    QNLI and RTE, a score clipped to 0..5 with three decimals for STS-B, a class number for
    the others.

    Args:
        folder: Where to; it is made when missing.
        dataset: The data set.
        ids: The numbers of the rows as `read_tsv_split` returns them, shape (rows,).
        predictions: Class numbers, for STS-B scores; in the same order.
        split: The test split that was predicted.

    Returns:
        The file, with its number of rows and the official one.

    Raises:
        ValueError: If the split is no test split, or ids and predictions do not fit together
            or to the data set.

    Example:
    >>> import tempfile
    >>> from rdrop_tf.tasks.glue import find_glue_dataset
    >>> rte = find_glue_dataset("RTE")
    >>> submission = write_submission(Path(tempfile.mkdtemp()), rte, [0, 1], [1, 0])
    >>> submission.path.read_text().splitlines()
    ['index\tprediction', '0\tnot_entailment', '1\tentailment']
    """
    if split not in dataset.submissions:
        raise ValueError(
            f"a submission of {dataset.name} must be for "
            f"{' or '.join(dataset.submissions)}; got {split!r}"
        )
    numbers = _checked_ids(np.asarray(ids))
    words = _words(dataset, np.asarray(predictions), len(numbers))
    file = dataset.submissions[split]
    path = folder / file.name
    folder.mkdir(parents=True, exist_ok=True)
    lines = (f"{number}\t{word}\n" for number, word in zip(numbers, words, strict=True))
    with path.open("w", encoding="utf-8", newline="\n") as handle:
        handle.write("index\tprediction\n")
        handle.writelines(lines)
    return Submission(path, len(numbers), file.rows)


def _checked_ids(ids: NDArray[Any]) -> NDArray[Any]:
    if ids.ndim != 1 or not ids.size or ids.dtype.kind not in "iu":
        raise ValueError(
            f"ids must be one integer a row, at least one; got {ids.dtype} of shape {ids.shape}"
        )
    values, counts = np.unique(ids, return_counts=True)
    if counts.max() > 1:
        raise ValueError(f"ids must be all different; got {values[counts.argmax()]} twice or more")
    return ids


def _words(dataset: GlueDataset, predictions: NDArray[Any], rows: int) -> list[str]:
    if predictions.shape != (rows,):
        raise ValueError(
            f"predictions must be one value for each of {rows} ids; got the shape "
            f"{predictions.shape}"
        )
    return _scores(predictions) if dataset.is_regression else _classes(dataset, predictions)


def _scores(predictions: NDArray[Any]) -> list[str]:
    if not np.isfinite(predictions).all():
        raise ValueError("scores must be finite; got NaN or infinity: the model has diverged")
    return [f"{score:.3f}" for score in np.clip(predictions, 0.0, HIGHEST_SCORE)]


def _classes(dataset: GlueDataset, predictions: NDArray[Any]) -> list[str]:
    count = len(dataset.spellings)
    if predictions.dtype.kind not in "iu":
        raise ValueError(
            f"predictions of {dataset.name} must be class numbers, as integers; got "
            f"{predictions.dtype}: take the argmax of logits first"
        )
    outside = predictions[(predictions < 0) | (predictions >= count)]
    if outside.size:
        raise ValueError(
            f"predictions of {dataset.name} must be class numbers from 0 to {count - 1}; got "
            f"{outside[0]}"
        )
    return [dataset.spellings[number] for number in predictions]
