"""The benchmark of decoding runs, and its ways find the same outputs."""

import csv
from pathlib import Path

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


def test_smoke_mode_writes_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import decoding

    out = tmp_path / "decoding.csv"
    decoding.main(["--smoke", "--out", str(out)])
    rows = list(csv.DictReader(out.read_text().splitlines()))
    ways = [decoding.CACHED, decoding.ONE, decoding.UNCACHED, decoding.SAME]
    ways += [decoding.XLA, decoding.XLA_ONE, decoding.GREEDY]
    peer = [decoding.PEER] if decoding.peer_version() else []
    assert [row["way"] for row in rows] == [*ways, *peer]
    assert all(float(row["sentences_per_second"]) > 0 for row in rows)
    assert float(rows[0][f"times {decoding.ONE}"]) > 0
    assert rows[1][f"times {decoding.ONE}"] == ""
    assert float(rows[3][f"times {decoding.UNCACHED}"]) > 0
    assert rows[0]["keras"] == keras.__version__
    printed = capsys.readouterr().out
    assert f"x {decoding.ONE}" in printed
    assert ("CTranslate2 is left out" in printed) != bool(peer)


SOURCES = [[9, 8, 2], [5, 6, 7, 2], [4, 4, 9, 8, 2]]


def test_without_a_cache_the_outputs_are_the_same() -> None:
    """Otherwise their times say nothing."""
    from benchmarks import decoding

    model = decoding.SMOKE.build()
    cached = decoding.generator(model)(SOURCES)
    uncached = decoding.generator(decoding.Uncached(model))(SOURCES)
    np.testing.assert_array_equal(cached.tokens, uncached.tokens)
    np.testing.assert_allclose(cached.scores, uncached.scores, rtol=1e-5)
    assert cached.lengths[:, 0].tolist() == [len(row) + decoding.MORE + 1 for row in SOURCES]


def test_ctranslate2_finds_the_same_outputs(tmp_path: Path) -> None:
    from benchmarks import decoding

    if not decoding.peer_version():
        pytest.skip("ctranslate2 is not installed")
    model = decoding.SMOKE.build()
    # Of one length, as CTranslate2 has one greatest length for all sentences of a call.
    sources = [[9, 8, 5, 2], [5, 6, 7, 2], [250, 31, 77, 2]]
    cached = decoding.generator(model)(sources).tokens[:, 0]
    found = decoding.Peer(model, tmp_path, batch=2)(sources)
    assert {len(row) for row in found} == {cached.shape[1]}
    # The last tokens hang on the end that must follow here, and not there.
    np.testing.assert_array_equal([row[:-2] for row in found], cached[:, :-2])
