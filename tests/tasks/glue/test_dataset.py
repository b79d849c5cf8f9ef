import pytest

from rdrop_tf.tasks.glue import find_glue_dataset, section_of


@pytest.mark.parametrize(
    ("split", "section"),
    [("train", ""), ("validation_matched", "matched"), ("test_mismatched", "mismatched")],
)
def test_sections(split: str, section: str) -> None:
    assert section_of(split) == section


def test_mnli_is_chosen_by_its_matched_part_and_reports_both() -> None:
    mnli = find_glue_dataset("MNLI")
    assert mnli.metrics == ("accuracy_matched", "accuracy_mismatched")
    assert mnli.validation_splits == ("validation_matched", "validation_mismatched")
    assert mnli.test_splits == ("test_matched", "test_mismatched")


def test_ax_has_nothing_to_train_on_or_to_measure() -> None:
    ax, mnli = find_glue_dataset("AX"), find_glue_dataset("MNLI")
    assert (ax.splits, ax.validation_splits, ax.metrics) == (("test",), (), ())
    assert (ax.labels, ax.texts, ax.spellings) == (mnli.labels, mnli.texts, mnli.spellings)


def test_only_the_similarity_is_a_regression() -> None:
    stsb, cola = find_glue_dataset("STS-B"), find_glue_dataset("CoLA")
    assert stsb.is_regression
    assert stsb.spellings == ()
    assert not cola.is_regression
    assert cola.spellings == ("0", "1")
