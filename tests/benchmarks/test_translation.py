"""The benchmark of translation runs, and its ways take the same step."""

import csv
import importlib.util
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


def test_smoke_mode_writes_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import translation

    out = tmp_path / "translation.csv"
    translation.main(["--smoke", "--torch-python", "", "--out", str(out)])
    rows = list(csv.DictReader(out.read_text().splitlines()))
    both, half = (translation.OURS, translation.HAND), translation.HALF
    assert [row["way"] for row in rows] == [
        *(translation.PLAIN + way for way in both),
        *(f"{translation.OURS}, {forward}" for forward in translation.FORWARDS),
        translation.HAND,
        *(f"{translation.OURS}, {forward}, {half}" for forward in translation.FORWARDS),
        f"{translation.HAND}, {half}",
        translation.INPUT,
    ]
    assert all(float(row["tokens_per_second"]) > 0 for row in rows[:-1])
    assert float(rows[1]["times by hand"]) == float(rows[4]["times by hand"]) == 1.0
    assert float(rows[-1]["share of a step"]) > 0
    assert rows[0]["keras"] == keras.__version__
    printed = capsys.readouterr().out
    assert "x by hand" in printed
    assert "PyTorch is left out" in printed


def test_a_process_of_pytorch_takes_its_turns(tmp_path: Path) -> None:
    """With a script in its place that knows no torch."""
    from benchmarks import translation

    stand_in = tmp_path / "python"
    stand_in.write_text("#!/bin/sh\necho 2.0\nwhile read alpha; do echo $alpha.5; done\n")
    stand_in.chmod(0o755)
    workload = translation.SMOKE["tiny"]
    with translation.torch_worker(str(stand_in), workload, batches()) as (ways, version):
        assert version == "2.0"
        assert [step() for step in ways.values()] == [0.5, 5.5]


def batches() -> list[Any]:
    """A batch with padding and one without."""
    rows = [[5, 6, 7], [8, 9, 4, 5]]
    from rdrop_tf.text.batches import TokenBatches

    made = [TokenBatches(rows, other, tokens=16) for other in (rows, [[6, 7], [8, 9]])]
    return [each[0] for each in made]


def test_the_loop_by_hand_takes_the_step_of_rdrop_model() -> None:
    """Otherwise their times say nothing. With dropout both draw the same masks."""
    from benchmarks import translation
    from rdrop_tf import RDropModel
    from rdrop_tf.text import Transformer

    def build() -> Transformer:
        keras.utils.set_random_seed(0)
        return Transformer(20, layers=1, width=8, hidden=8, heads=2, dropout=0.3)

    by_hand, wrapped = build(), build()
    model = RDropModel(wrapped, alpha=translation.ALPHA, forward="two_calls")
    first = translation.step_by_hand(by_hand, batches(), translation.ALPHA)()
    second = translation.rdrop_step(model, batches())()
    assert first == pytest.approx(second, rel=1e-5)
    for a, b in zip(by_hand.get_weights(), wrapped.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_only_whole_batches_are_timed() -> None:
    from benchmarks import translation
    from rdrop_tf.text.batches import TokenBatches

    rows = [[5, 6, 7]] * 5
    few = translation.whole_batches(TokenBatches(rows, rows, tokens=12, buckets=1), 2)
    assert [labels.shape for _, labels, _ in few] == [(3, 4)]


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_the_loss_of_pytorch_is_that_of_the_loop_by_hand() -> None:
    import torch

    from benchmarks import translation, translation_torch

    draw = np.random.default_rng(0)
    logits = draw.standard_normal((2, 3, 4, 11), np.float32)
    labels = draw.integers(1, 11, (3, 4), np.int32)
    labels[0, 2:] = 0
    mask = (labels != 0).astype("float32")
    by_hand = translation.loss_by_hand(logits[0], logits[1], labels, mask, translation.ALPHA)
    whole = torch.from_numpy(logits.reshape(6, 4, 11))
    targets = torch.from_numpy(labels).long()
    smoothing = translation.SMOOTHING
    found = translation_torch.official(whole, targets, translation.ALPHA, smoothing)
    assert float(found) == pytest.approx(float(by_hand), rel=1e-5)
    plain = translation.mean_over_tokens(translation.cross_entropy(logits[0], labels), mask)
    alone = translation_torch.official(whole[:3], targets, 0.0, smoothing)
    assert float(alone) == pytest.approx(float(plain), rel=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_the_network_of_pytorch_has_as_many_weights() -> None:
    from benchmarks import translation, translation_torch

    workload = translation.SMOKE["tiny"]
    network = translation_torch.Translator(**workload.sizes())
    count = sum(weight.numel() for weight in network.parameters())
    assert count == workload.build().count_params()
