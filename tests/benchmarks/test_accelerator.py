"""The accelerator's benchmark on this machine's processor, without TensorFlow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import accelerator, report

HOME = Path(__file__).parents[2]


def test_smoke_mode_needs_no_tensorflow(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    # Found before the real one.
    (tmp_path / "tensorflow.py").write_text("raise ImportError('not here')\n")
    out = tmp_path / "accelerator.csv"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    environment.pop("KERAS_BACKEND", None)
    words = ["-m", "benchmarks.accelerator", "--smoke", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, *words], cwd=HOME, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = report.read(out)
    assert tuple(row["way"] for row in rows) == accelerator.SMOKE_WAYS
    for row in rows:
        assert (row["note"], row["backend"], row["device"]) == ("", "jax", "cpu")
        assert float(row["tokens_per_second"]) > 0
        # Of a processor neither is known.
        assert row["share_of_peak"] == row["peak_megabytes"] == ""


def test_operations_are_those_of_the_matrix_products() -> None:
    case = accelerator.Case("c", 2, 8, 16, 2, vocabulary=40, rows=3, length=4)
    # Projections of the attention 4·8·8, feed-forward 2·8·16, scores and values 2·4·8, head 8·40.
    one_token = 2 * (2 * (256 + 256 + 64) + 320)
    assert case.operations(1) == 3 * one_token * 12
    assert case.operations(2) == 2 * case.operations(1)


@pytest.mark.parametrize(
    ("kind", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-40GB", 312e12),
        ("cpu", None),
    ],
)
def test_the_peak_of_a_device(kind: str, peak: float | None) -> None:
    assert accelerator.peak_of(kind) == peak


@pytest.mark.parametrize(
    ("code", "output", "errors", "note"),
    [
        (0, 'noise\n{"milliseconds": 2.0}\n', "", ""),
        (1, "", "RESOURCE_EXHAUSTED: Out of memory while trying to allocate", "out of memory"),
        (1, "", "ValueError: something else", None),
    ],
)
def test_a_step_that_does_not_fit_keeps_a_row(
    code: int, output: str, errors: str, note: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(words: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        assert json.loads(words[-1])["way"] == "naive"
        return subprocess.CompletedProcess(words, code, output, errors)

    monkeypatch.setattr(subprocess, "run", run)
    if note is None:
        with pytest.raises(RuntimeError, match=r"'naive' of Case.* failed:\nValueError: something"):
            accelerator.in_process("naive", accelerator.SMOKE[0], 1, 1, "jax")
        return
    row = accelerator.in_process("naive", accelerator.SMOKE[0], 1, 1, "jax")
    assert row["note"] == note
    assert ("milliseconds" in row) == (code == 0)


def test_the_naive_model_takes_the_step_of_rdrop_model() -> None:
    import keras
    import numpy as np

    case = accelerator.SMOKE[0]
    losses = []
    for way in ("naive", "concat, VocabularyHead"):
        keras.utils.set_random_seed(0)
        model = accelerator.build(way, case)
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        x, y, rows = accelerator.batches(case, 1, way)
        losses.append(float(model.train_on_batch(x[:rows], y[:rows], return_dict=True)["loss"]))
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)
