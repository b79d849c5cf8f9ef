from pathlib import Path

import pytest

from rdrop_tf.tasks import RunResult, evaluate


def test_the_checkpoints_give_the_runs_figures(trained: tuple[Path, RunResult]) -> None:
    folder, result = trained
    metric, figures = evaluate(folder)
    assert metric.name == "accuracy"
    assert figures["last"] == {"validation": result.validation, "test": result.test}
    assert figures["best"]["validation"] == result.best_validation


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a run is a folder that holds checkpoints/last\.keras"):
        evaluate(tmp_path)
