"""The table of data sets against what is published about GLUE, written out here again."""

import pytest

from rdrop_tf.tasks.glue import GLUE_DATASETS, find_glue_dataset

# Name: number of texts, classes, rows of each submission, figures.
PUBLISHED = {
    "CoLA": (1, 2, {"CoLA.tsv": 1063}, ("matthews",)),
    "SST-2": (1, 2, {"SST-2.tsv": 1821}, ("accuracy",)),
    "MRPC": (2, 2, {"MRPC.tsv": 1725}, ("accuracy", "f1")),
    "STS-B": (2, 0, {"STS-B.tsv": 1379}, ("pearson", "spearman")),
    "QQP": (2, 2, {"QQP.tsv": 390965}, ("accuracy", "f1")),
    "MNLI": (
        2,
        3,
        {"MNLI-m.tsv": 9796, "MNLI-mm.tsv": 9847},
        ("accuracy_matched", "accuracy_mismatched"),
    ),
    "QNLI": (2, 2, {"QNLI.tsv": 5463}, ("accuracy",)),
    "RTE": (2, 2, {"RTE.tsv": 3000}, ("accuracy",)),
    "WNLI": (2, 2, {"WNLI.tsv": 146}, ("accuracy",)),
    "AX": (2, 3, {"AX.tsv": 1104}, ()),
}


def test_the_table_holds_what_is_published() -> None:
    assert {
        name: (
            len(data.texts),
            len(data.labels),
            {file.name: file.rows for file in data.submissions.values()},
            data.metrics,
        )
        for name, data in GLUE_DATASETS.items()
    } == PUBLISHED


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("SST-2", "SST-2"),
        ("sst2", "SST-2"),
        ("sst-2", "SST-2"),
        ("glue/stsb", "STS-B"),
        ("STS-B", "STS-B"),
        ("sts_b", "STS-B"),
        ("cola", "CoLA"),
        ("mnli", "MNLI"),
        ("ax", "AX"),
    ],
)
def test_usual_spellings(spelling: str, name: str) -> None:
    assert find_glue_dataset(spelling) is GLUE_DATASETS[name]


def test_what_glue_has_not_is_refused() -> None:
    text = "must be one of CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI, RTE, WNLI, AX; got 'snli'"
    with pytest.raises(ValueError, match=text):
        find_glue_dataset("snli")


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", GLUE_DATASETS)
def test_labels_and_features_are_those_of_tensorflow_datasets(name: str) -> None:
    tfds = pytest.importorskip("tensorflow_datasets")
    data = GLUE_DATASETS[name]
    features = tfds.builder(f"glue/{data.tfds_name}").info.features
    assert set(features) == {*(data.tfds_texts or data.texts), "label", "idx"}
    assert tuple(getattr(features["label"], "names", ())) == data.labels
