"""What a data set of GLUE is: columns, files, labels, figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from rdrop_tf.metrics.glue import GLUE_METRICS

HIGHEST_SCORE = 5.0


class SubmissionFile(NamedTuple):
    """A file that gluebenchmark.com takes: its name and the rows of the official test set."""

    name: str
    rows: int


@dataclass(frozen=True)
class GlueDataset:
    """One data set of GLUE. Splits are named as in tensorflow-datasets.

    Args:
        name: The official name, also of its folder.
        tfds_name: Its name in tensorflow-datasets.
        texts: The columns of its texts in the tsv files: one, or two for pairs.
        label: The column of its label in the tsv files.
        labels: The classes in the official order; none where the label is a score from 0 to 5.
        submissions: What a prediction of each test split is handed in as.
        files: The official file names of each split; the first that exists is read.
        tfds_texts: The features of its texts in tensorflow-datasets, where not as `texts`.
        spells_labels: Whether files hold the names of classes instead of their numbers.
        id: The column that numbers the rows of test files.
        columns_without_header: The columns of labelled files, where those have no header.
        folders: Other names of its folder.
        has_broken_lines: Whether an official release holds lines cut short by a line break.

    Example:
    >>> from rdrop_tf.tasks.glue import find_glue_dataset
    >>> mnli = find_glue_dataset("MNLI")
    >>> mnli.labels, mnli.metrics
    (('entailment', 'neutral', 'contradiction'), ('accuracy_matched', 'accuracy_mismatched'))
    """

    name: str
    tfds_name: str
    texts: tuple[str, ...]
    label: str
    labels: tuple[str, ...]
    submissions: Mapping[str, SubmissionFile]
    files: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType(
            {"train": ("train.tsv",), "validation": ("dev.tsv",), "test": ("test.tsv",)}
        )
    )
    tfds_texts: tuple[str, ...] = ()
    spells_labels: bool = False
    id: str = "index"
    columns_without_header: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    has_broken_lines: bool = False

    @property
    def is_regression(self) -> bool:
        """Whether the label is a score."""
        return not self.labels

    @property
    def spellings(self) -> tuple[str, ...]:
        """The classes as files and submissions write them, in order."""
        if self.spells_labels:
            return self.labels
        return tuple(str(number) for number in range(len(self.labels)))

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of its splits."""
        return tuple(self.files)

    @property
    def validation_splits(self) -> tuple[str, ...]:
        """The splits to choose by: two for MNLI, none for AX."""
        return tuple(split for split in self.files if split.startswith("validation"))

    @property
    def test_splits(self) -> tuple[str, ...]:
        """The splits without labels: two for MNLI."""
        return tuple(self.submissions)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The figures that GLUE reports, the one to choose a checkpoint by first.

        They are named as in the dict of `glue_metrics`; AX, which has no public labels, has
        none.
        """
        names = GLUE_METRICS.get(self.name, ())
        sections = [section_of(split) for split in self.validation_splits]
        return tuple(
            f"{name}_{section}" if section else name for section in sections for name in names
        )


def section_of(split: str) -> str:
    """Returns which part of MNLI a split belongs to.

    Args:
        split: The name of a split.

    Returns:
        "matched", "mismatched", or "" for a split that has no sections.

    Example:
    >>> section_of("validation_mismatched"), section_of("test")
    ('mismatched', '')
    """
    return split.partition("_")[2]
