"""The benchmark of a step runs, and its ways take the same step."""

import csv
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


def test_smoke_mode_writes_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import step
    from benchmarks.models import SMOKE

    out = tmp_path / "step.csv"
    step.main(["--smoke", "--out", str(out)])
    rows = list(csv.DictReader(out.read_text().splitlines()))
    by_model: dict[str, list[str]] = {}
    for row in rows:
        by_model.setdefault(row["model"], []).append(row["way"])
    first = ["plain", "plain, doubled batch", "by hand", "by hand, XLA", *step.FORWARDS]
    assert list(by_model) == list(SMOKE)
    for name, ways in by_model.items():
        headed = SMOKE[name].with_head is not None
        assert ways == [*first, *(["two_calls, Dense head"] if headed else [])]
    assert all(float(row["milliseconds"]) > 0 for row in rows)
    assert float(rows[0]["over plain"]) == float(rows[2]["over by hand"]) == 1.0
    assert rows[0]["keras"] == keras.__version__
    assert "x plain" in capsys.readouterr().out


def test_the_loop_by_hand_takes_the_step_of_rdrop_model() -> None:
    """Otherwise their times say nothing: without noise both give the same weights."""
    from benchmarks import step
    from benchmarks.models import SMOKE
    from rdrop_tf import RDropModel

    def quiet(build: Callable[[], keras.Model]) -> keras.Model:
        keras.utils.set_random_seed(0)
        model = build()
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        return model

    batch = SMOKE["lm"].batch()
    smoke = SMOKE["lm"]
    by_hand, wrapped = quiet(smoke.build), quiet(smoke.with_head)
    first = step.step_by_hand(by_hand, batch)()
    second = step.keras_step(RDropModel(wrapped, alpha=step.ALPHA), batch)()
    assert first == pytest.approx(second, rel=1e-6)
    for a, b in zip(by_hand.get_weights(), wrapped.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
