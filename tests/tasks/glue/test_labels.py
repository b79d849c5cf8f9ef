from pathlib import Path

import numpy as np
import pytest

from rdrop_tf.tasks.glue import GLUE_DATASETS, find_glue_dataset
from rdrop_tf.tasks.glue.labels import read_labels
from rdrop_tf.tasks.glue.table import Table


def table_of(name: str, words: list[str]) -> Table:
    count = len(words)
    column = {GLUE_DATASETS[name].label: words}
    return Table(Path("dev.tsv"), column, list(range(2, count + 2)), list(range(count)))


@pytest.mark.parametrize(
    ("name", "words", "numbers"),
    [
        ("MNLI", ["entailment", "neutral", "contradiction"], [0, 1, 2]),
        ("RTE", ["not_entailment", "entailment"], [1, 0]),
        ("QNLI", ["not_entailment", "entailment"], [1, 0]),
        ("WNLI", ["1", "0"], [1, 0]),
        ("MRPC", ["1", "0", "1"], [1, 0, 1]),
    ],
)
def test_classes(name: str, words: list[str], numbers: list[int]) -> None:
    labels = read_labels(find_glue_dataset(name), table_of(name, words))
    assert labels.dtype == np.int32
    assert labels.tolist() == numbers


def test_scores() -> None:
    labels = read_labels(find_glue_dataset("STS-B"), table_of("STS-B", ["0", "3.800", "5.000"]))
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, np.float32([0, 3.8, 5]))


@pytest.mark.parametrize(
    ("name", "word", "rule"),
    [
        ("MNLI", "-", "'gold_label' must hold one of 'entailment', 'neutral', 'contradiction'"),
        ("RTE", "1", "'label' must hold one of 'entailment', 'not_entailment'"),
        ("MRPC", "", "'Quality' must hold one of '0', '1'"),
        ("QQP", "1 ", "'is_duplicate' must hold one of '0', '1'"),
        ("CoLA", "2", "'label' must hold one of '0', '1'"),
        ("STS-B", "5.1", "'score' must hold a number from 0 to 5"),
        ("STS-B", "-0.1", "'score' must hold a number from 0 to 5"),
        ("STS-B", "nan", "'score' must hold a number from 0 to 5"),
        ("STS-B", "high", "'score' must hold a number from 0 to 5"),
    ],
)
def test_a_label_that_is_none(name: str, word: str, rule: str) -> None:
    data = find_glue_dataset(name)
    good = data.spellings[0] if data.spellings else "2.5"
    with pytest.raises(ValueError, match="the column") as error:
        read_labels(data, table_of(name, [good, good, word]))
    assert str(error.value) == (
        f"the column {rule}; got {word!r} in 'dev.tsv', line 4: mend the line or use the official "
        "file"
    )
