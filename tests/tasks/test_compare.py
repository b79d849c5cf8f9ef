import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks import Comparison, RunResult, compare, work_of_a_comparison
from rdrop_tf.tasks.compare import run_name
from rdrop_tf.tasks.run_folder import read_columns


def test_every_alpha_with_every_seed(compared: tuple[Path, Comparison]) -> None:
    folder, comparison = compared
    assert [(run.seed, run.alpha) for run in comparison.runs] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for run in comparison.runs:
        result = json.loads((folder / run_name(run.alpha, run.seed) / "result.json").read_text())
        assert result == asdict(run)


def test_the_folder_holds_what_it_promises(compared: tuple[Path, Comparison]) -> None:
    folder, comparison = compared
    files = {path.name for path in folder.iterdir() if path.is_file()}
    assert files == {
        "config.json",
        "environment.json",
        "plot.png",
        "report.txt",
        "result.json",
        "runs.csv",
    }
    result = json.loads((folder / "result.json").read_text())
    assert result["verdicts"] == list(comparison.verdicts)
    assert result["environment"] == json.loads((folder / "environment.json").read_text())
    assert result["seconds"] > 0
    with (folder / "runs.csv").open(newline="") as file:
        assert [float(row["test"]) for row in csv.DictReader(file)] == [
            run.test for run in comparison.runs
        ]


def test_a_run_of_a_comparison_is_the_run_alone(
    compared: tuple[Path, Comparison], trained: tuple[Path, RunResult]
) -> None:
    inside = read_columns(compared[0] / run_name(1, 0) / "epochs.csv")
    alone = read_columns(trained[0] / "epochs.csv")
    for name in ("loss", "ce", "kl", "val_loss", "probe_kl"):
        assert inside[name] == alone[name]


def test_the_difference_is_the_runs(compared: tuple[Path, Comparison]) -> None:
    _, comparison = compared
    test = {(run.alpha, run.seed): 100 * run.test for run in comparison.runs}
    difference = comparison.rows[1].difference
    assert difference is not None
    assert difference.mean == pytest.approx(
        np.mean([test[1, seed] - test[0, seed] for seed in (0, 1)])
    )


@pytest.mark.parametrize(
    ("alphas", "seeds", "text"),
    [
        ([0.0], [0, 1], "two or more different alphas; got 0"),
        ([1.0, 1.0], [0, 1], "two or more different alphas; got 1, 1"),
        ([0.0, 1.0], [3], "two or more different seeds; got 3"),
        ([0.0, 1.0], [], "two or more different seeds; got none"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    alphas: list[float], seeds: list[int], text: str, tiny: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=f"a comparison needs {text}$"):
        compare(tiny, alphas=alphas, seeds=seeds, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_work_counts_two_passes_twice(tiny: Recipe) -> None:
    assert work_of_a_comparison(tiny, [0.0, 1.0], [0, 1]) == 5 * 2 * (1 + 2)


def test_run_names_are_as_different_as_the_alphas() -> None:
    assert run_name(0.1234567, 0) != run_name(0.1234568, 0)
