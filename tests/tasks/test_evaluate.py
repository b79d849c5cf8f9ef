from pathlib import Path

import pytest

from rdrop_tf.tasks import RunResult, evaluate


def test_the_checkpoints_give_the_runs_figures(trained: tuple[Path, RunResult]) -> None:
    folder, result = trained
    metrics, figures, notes = evaluate(folder)
    assert [metric.name for metric in metrics] == ["accuracy"]
    assert figures["last"]["validation"]["accuracy"] == result.validation
    assert figures["last"]["test"] == result.test_figures
    assert result.test_figures["accuracy"] == result.test
    assert figures["best"]["validation"]["accuracy"] == result.best_validation
    assert not notes


def test_a_task_without_a_paired_test_says_so(trained: tuple[Path, RunResult]) -> None:
    folder, _ = trained
    with pytest.raises(ValueError, match=r"a paired test is for runs of translation; got .*digit"):
        evaluate(folder, against=folder)


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a run is a folder that holds checkpoints/last\.keras"):
        evaluate(tmp_path)
