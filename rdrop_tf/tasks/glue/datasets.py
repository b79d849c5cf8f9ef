"""GLUE's data sets, as data."""

from collections.abc import Mapping
from types import MappingProxyType

from rdrop_tf.tasks.glue.dataset import GlueDataset, SubmissionFile


def find_glue_dataset(name: str) -> GlueDataset:
    """Finds a data set by any usual spelling of its name.

    Args:
        name: Such as "SST-2", "sst2" or "glue/sst2".

    Returns:
        The data set.

    Raises:
        ValueError: If GLUE has none of that name.

    Example:
    >>> find_glue_dataset("glue/stsb").name
    'STS-B'
    """
    plain = plain_name(name.removeprefix("glue/"))
    for dataset in GLUE_DATASETS.values():
        if plain == dataset.tfds_name:
            return dataset
    raise ValueError(f"a data set of GLUE must be one of {', '.join(GLUE_DATASETS)}; got {name!r}")


def plain_name(name: str) -> str:
    """Returns a name without what its usual spellings differ in.

    Args:
        name: A name such as "SST-2".

    Returns:
        Its letters and digits, in lower case.

    Example:
    >>> plain_name("SST-2")
    'sst2'
    """
    return "".join(filter(str.isalnum, name)).lower()


def _test(name: str, rows: int) -> dict[str, SubmissionFile]:
    return {"test": SubmissionFile(f"{name}.tsv", rows)}


_SENTENCES = ("sentence1", "sentence2")
_NLI = ("entailment", "neutral", "contradiction")
_TWO_WAY_NLI = ("entailment", "not_entailment")

_ALL = (
    GlueDataset(
        name="CoLA",
        tfds_name="cola",
        texts=("sentence",),
        label="label",
        labels=("unacceptable", "acceptable"),
        submissions=_test("CoLA", 1063),
        columns_without_header=("source", "label", "mark", "sentence"),
    ),
    GlueDataset(
        name="SST-2",
        tfds_name="sst2",
        texts=("sentence",),
        label="label",
        labels=("negative", "positive"),
        submissions=_test("SST-2", 1821),
    ),
    GlueDataset(
        name="MRPC",
        tfds_name="mrpc",
        texts=("#1 String", "#2 String"),
        label="Quality",
        labels=("not_equivalent", "equivalent"),
        submissions=_test("MRPC", 1725),
        files={
            "train": ("train.tsv", "msr_paraphrase_train.txt"),
            "validation": ("dev.tsv", "msr_paraphrase_train.txt"),
            "test": ("test.tsv", "msr_paraphrase_test.txt"),
        },
        tfds_texts=_SENTENCES,
    ),
    GlueDataset(
        name="STS-B",
        tfds_name="stsb",
        texts=_SENTENCES,
        label="score",
        labels=(),
        submissions=_test("STS-B", 1379),
    ),
    GlueDataset(
        name="QQP",
        tfds_name="qqp",
        texts=("question1", "question2"),
        label="is_duplicate",
        labels=("not_duplicate", "duplicate"),
        submissions=_test("QQP", 390_965),
        id="id",
        has_broken_lines=True,
    ),
    GlueDataset(
        name="MNLI",
        tfds_name="mnli",
        texts=_SENTENCES,
        label="gold_label",
        labels=_NLI,
        submissions={
            "test_matched": SubmissionFile("MNLI-m.tsv", 9796),
            "test_mismatched": SubmissionFile("MNLI-mm.tsv", 9847),
        },
        files={
            "train": ("train.tsv",),
            "validation_matched": ("dev_matched.tsv",),
            "validation_mismatched": ("dev_mismatched.tsv",),
            "test_matched": ("test_matched.tsv",),
            "test_mismatched": ("test_mismatched.tsv",),
        },
        tfds_texts=("premise", "hypothesis"),
        spells_labels=True,
    ),
    GlueDataset(
        name="QNLI",
        tfds_name="qnli",
        texts=("question", "sentence"),
        label="label",
        labels=_TWO_WAY_NLI,
        submissions=_test("QNLI", 5463),
        spells_labels=True,
    ),
    GlueDataset(
        name="RTE",
        tfds_name="rte",
        texts=_SENTENCES,
        label="label",
        labels=_TWO_WAY_NLI,
        submissions=_test("RTE", 3000),
        spells_labels=True,
    ),
    GlueDataset(
        name="WNLI",
        tfds_name="wnli",
        texts=_SENTENCES,
        label="label",
        labels=("not_entailment", "entailment"),
        submissions=_test("WNLI", 146),
    ),
    GlueDataset(
        name="AX",
        tfds_name="ax",
        texts=_SENTENCES,
        label="",
        labels=_NLI,
        submissions=_test("AX", 1104),
        files={"test": ("diagnostic.tsv", "AX.tsv", "test.tsv")},
        tfds_texts=("premise", "hypothesis"),
        spells_labels=True,
        folders=("diagnostic",),
    ),
)

GLUE_DATASETS: Mapping[str, GlueDataset] = MappingProxyType({data.name: data for data in _ALL})
