"""Submission files against the official format, written out by hand.

gluebenchmark.com: one tsv file a task, named as below, a header of `index` and `prediction`, a
line for each row of the test file in its order; names of classes for the inference tasks, 0
and 1 for the others (WNLI among them), a number for STS-B.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rdrop_tf.tasks.glue import GLUE_DATASETS, find_glue_dataset, read_tsv_split, write_submission
from tests.tasks.glue.official import write_official

OFFICIAL: dict[tuple[str, str], tuple[list[float], str, bytes]] = {
    ("CoLA", "test"): ([1, 0], "CoLA.tsv", b"index\tprediction\n0\t1\n1\t0\n"),
    ("SST-2", "test"): ([0, 1], "SST-2.tsv", b"index\tprediction\n0\t0\n1\t1\n"),
    ("MRPC", "test"): ([1], "MRPC.tsv", b"index\tprediction\n0\t1\n"),
    ("STS-B", "test"): ([2.34567], "STS-B.tsv", b"index\tprediction\n0\t2.346\n"),
    ("QQP", "test"): ([1, 0], "QQP.tsv", b"index\tprediction\n0\t1\n1\t0\n"),
    ("MNLI", "test_matched"): ([1], "MNLI-m.tsv", b"index\tprediction\n0\tneutral\n"),
    ("MNLI", "test_mismatched"): ([2], "MNLI-mm.tsv", b"index\tprediction\n0\tcontradiction\n"),
    ("QNLI", "test"): ([1], "QNLI.tsv", b"index\tprediction\n0\tnot_entailment\n"),
    ("RTE", "test"): (
        [0, 1],
        "RTE.tsv",
        b"index\tprediction\n0\tentailment\n1\tnot_entailment\n",
    ),
    ("WNLI", "test"): ([1], "WNLI.tsv", b"index\tprediction\n0\t1\n"),
    ("AX", "test"): ([0, 2], "AX.tsv", b"index\tprediction\n0\tentailment\n1\tcontradiction\n"),
}


@pytest.mark.parametrize(("name", "split"), OFFICIAL)
def test_from_the_test_file_to_the_submission(tmp_path: Path, name: str, split: str) -> None:
    predictions, file, content = OFFICIAL[name, split]
    data = find_glue_dataset(name)
    write_official(tmp_path, name)
    ids = read_tsv_split(data, split, tmp_path).ids
    written = write_submission(tmp_path / "out", data, ids, np.array(predictions), split)
    assert written.path == tmp_path / "out" / file
    assert written.path.read_bytes() == content


def test_every_submission_is_tested() -> None:
    wanted = {(name, split) for name, data in GLUE_DATASETS.items() for split in data.test_splits}
    assert set(OFFICIAL) == wanted


def test_rows_keep_their_order_and_their_numbers(tmp_path: Path) -> None:
    written = write_submission(tmp_path, find_glue_dataset("CoLA"), [5, 2, 9], [1, 0, 0])
    assert written.path.read_text() == "index\tprediction\n5\t1\n2\t0\n9\t0\n"


def test_scores_are_clipped_and_have_three_decimals(tmp_path: Path) -> None:
    scores = np.float32([-0.4, 0, 1.0004, 3.8, 5.0001, 7])
    written = write_submission(tmp_path, find_glue_dataset("STS-B"), range(6), scores)
    lines = written.path.read_text().splitlines()[1:]
    assert lines == ["0\t0.000", "1\t0.000", "2\t1.000", "3\t3.800", "4\t5.000", "5\t5.000"]


def test_what_was_written_is_said_against_the_official_count(tmp_path: Path) -> None:
    wnli = find_glue_dataset("WNLI")
    part = write_submission(tmp_path, wnli, range(3), [0, 1, 1])
    assert not part.is_complete
    assert part.describe() == (
        f"{tmp_path / 'WNLI.tsv'}: 3 rows; gluebenchmark.com wants the 146 of its test set"
    )
    whole = write_submission(tmp_path, wnli, np.arange(146), np.zeros(146, int))
    assert whole.is_complete
    assert whole.describe().endswith("WNLI.tsv: 146 rows, as many as the official test set")


@pytest.mark.parametrize(
    ("name", "split", "ids", "predictions", "text"),
    [
        ("RTE", "test", [0, 1], [0], r"one value for each of 2 ids; got the shape \(1,\)"),
        ("RTE", "test", [0], [[0.1, 0.9]], r"one value for each of 1 ids; got the shape \(1, 2\)"),
        ("RTE", "test", [0, 1], [0.0, 1.0], "RTE must be class numbers, as integers; got float64"),
        ("RTE", "test", [0, 1], [0, 2], "RTE must be class numbers from 0 to 1; got 2"),
        ("MNLI", "test_matched", [0], [-1], "MNLI must be class numbers from 0 to 2; got -1"),
        ("STS-B", "test", [0], [np.nan], "scores must be finite; got NaN or infinity"),
        ("RTE", "test", [0, 0], [0, 1], "ids must be all different; got 0 twice or more"),
        ("RTE", "test", [0.0], [0], r"ids must be one integer a row.*got float64 of shape \(1,\)"),
        ("RTE", "test", [], [], r"ids must be one integer a row, at least one; got .*\(0,\)"),
        ("MNLI", "test", [0], [0], "MNLI must be for test_matched or test_mismatched; got 'test'"),
        ("RTE", "validation", [0], [0], "RTE must be for test; got 'validation'"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, name: str, split: str, ids: list[Any], predictions: list[Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        write_submission(tmp_path / "out", find_glue_dataset(name), ids, predictions, split)
    assert not (tmp_path / "out").exists()
