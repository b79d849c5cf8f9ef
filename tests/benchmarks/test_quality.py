from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import quality
from benchmarks.quality_studies import STUDIES
from rdrop_tf.recipes import find_recipe

pytestmark = pytest.mark.tensorflow

SENTENCES = (
    "the cat sat",
    "a dog ran home",
    "it rains",
    "we like tea",
    "birds sing",
    "no one came",
)


def _arguments(path: Path, *words: str) -> Any:
    return quality._parser().parse_args(["run", "--out", str(path), "--studies", "mrpc", *words])


def _row(stage: str, seed: int, validation: float, **settings: float) -> dict[str, Any]:
    values = {"alpha": 0.0, "learning_rate": 1e-4, "epochs": 5, **settings}
    return {
        **dict.fromkeys(quality.FIELDS, ""),
        "study": "mrpc",
        "stage": stage,
        "seed": seed,
        "validation": validation,
        **values,
    }


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        quality._append(path, row)


def test_the_best_mean_over_seeds_is_chosen() -> None:
    rows = [
        {"study": "a", "stage": "rate", "learning_rate": rate, "validation": value}
        for rate, value in (("0.1", "0.5"), ("0.1", "0.7"), ("0.2", "0.61"), ("0.2", "0.60"))
    ]
    assert quality.best(rows, "a", "rate", "learning_rate") == 0.2
    assert quality.best(rows, "b", "rate", "learning_rate") is None


@pytest.fixture
def _several_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    study = replace(STUDIES["mrpc"], learning_rates=(1e-4, 2e-4, 3e-4))
    monkeypatch.setitem(STUDIES, "mrpc", study)


@pytest.mark.usefixtures("_several_rates")
def test_a_stage_waits_for_the_one_before(tmp_path: Path) -> None:
    args = _arguments(tmp_path / "q.csv")
    assert len(quality._missing(args, "rate")) == 6
    assert quality._missing(args, "alpha") == quality._missing(args, "report") == []


def test_a_single_rate_is_not_chosen(tmp_path: Path) -> None:
    args = _arguments(tmp_path / "q.csv")
    assert quality._missing(args, "rate") == []
    assert {run.learning_rate for run in quality._missing(args, "alpha")} == {1e-4}


@pytest.mark.usefixtures("_several_rates")
def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    epochs = find_recipe("mrpc-small").epochs
    _write(path, [_row("rate", seed, 0.7, epochs=epochs) for seed in quality.CHOICE_SEEDS])
    args = _arguments(path)
    assert {run.learning_rate for run in quality._missing(args, "rate")} == {2e-4, 3e-4}
    _write(path, [_row("alpha", 100, 0.9, alpha=2.0, epochs=epochs)])
    report = quality._missing(args, "report")
    arms = {(run.alpha, run.epochs) for run in report}
    assert arms == {(0.0, epochs), (2.0, epochs), (0.0, 2 * epochs)}
    assert {run.learning_rate for run in report} == {1e-4}
    assert [run.seed for run in report] == sorted(run.seed for run in report)
    assert not {run.seed for run in report} & set(quality.CHOICE_SEEDS)


def test_a_run_becomes_a_row(tmp_path: Path) -> None:
    folder = tmp_path / "glue" / "MRPC"
    folder.mkdir(parents=True)
    for name, rows in (("train", 40), ("dev", 12)):
        lines = ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
        for row in range(rows):
            first, second = SENTENCES[row % 6], SENTENCES[(row + row % 2) % 6]
            lines.append(f"{1 - row % 2}\t{row}\t{row}\t{first}\t{second}")
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    run = quality.Run(
        "mrpc", "report", 1.0, 1e-3, 5, 0, str(tmp_path), "random-tiny", prepared=None, smoke=True
    )
    row = quality.train_once(run)
    assert set(row) == set(quality.FIELDS)
    assert row["metric"] == "accuracy"
    assert 0 <= row["test"] <= 1
    assert row["probe_kl"] > 0
    quality._append(tmp_path / "q.csv", row)
    (read,) = quality.read_rows(tmp_path / "q.csv")
    assert tuple(read[name] for name in quality.KEY) == run.key
