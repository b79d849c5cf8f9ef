import csv
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import pipeline
from rdrop_tf.recipes import Recipe, find_recipe

pytestmark = pytest.mark.tensorflow


def _small(name: str) -> Recipe:
    """The recipe with less to trace: one call of the model, and one small layer where it says."""
    recipe = find_recipe(name)
    sizes = {"depth": 1, "width": 8, "heads": 2, "hidden": 8} if name == "digits" else {}
    return replace(recipe, forward="concat", model={**recipe.model, **sizes})


def test_smoke_mode_writes_a_row_a_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "ROWS", 200)
    monkeypatch.setattr(pipeline, "find_recipe", _small)
    out = tmp_path / "pipeline.csv"
    pipeline.main(["--batches", "4", "--recipes", "digits", "mrpc-small", "--out", str(out)])
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    forms = [("digits", "memory"), ("mrpc-small", "memory"), ("mrpc-small", "shards")]
    assert [(row["recipe"], row["form"]) for row in rows] == forms
    for row in rows:
        batch, step = float(row["milliseconds_a_batch"]), float(row["milliseconds_a_step"])
        assert batch > 0
        assert float(row["share"]) == pytest.approx(batch / step, abs=1e-3)
        assert float(row["times"]) == pytest.approx(step / batch, rel=0.2)
        examples = float(row["examples_a_batch"]) * 1000 / batch
        assert float(row["examples_a_second"]) == pytest.approx(examples, rel=0.01)
    assert "mrpc-small" in capsys.readouterr().out
