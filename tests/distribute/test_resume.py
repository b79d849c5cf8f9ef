"""A training on several devices goes on as if nothing had been, bit for bit."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf import RDropModel
from rdrop_tf.training import ExactResume
from rdrop_tf.training.checkpoint_store import CheckpointStore
from tests.distribute import fleet
from tests.training import resumed
from tests.training.test_exact_resume import Killed, RaiseAt, assert_equal

pytestmark = pytest.mark.tensorflow


def test_two_replicas(mirrored: Any, tmp_path: Path) -> None:
    def train(name: str, *more: Any) -> dict[str, Any]:
        options = {"run_eagerly": False, "scope": mirrored.scope()}
        return resumed.outcome(*resumed.train(tmp_path / name, *more, **options))

    with pytest.raises(Killed):
        train("broken", RaiseAt(8, Killed()))
    newest = CheckpointStore(tmp_path / "broken").newest()
    assert newest is not None
    parts = {n.split(" ", 2)[2]: a for n, a in newest.arrays.items() if n.startswith("variable")}
    rows = parts["loss/count"]
    assert rows.shape == (2,), "each replica has counted its own rows"
    assert rows.sum() == 3 * resumed.BATCH
    assert_equal(train("broken"), train("whole"))


def test_another_number_of_replicas_is_refused(mirrored: Any, tmp_path: Path) -> None:
    def fit(scope: Any) -> None:
        rdrop = resumed.compiled(scope=scope)
        rdrop.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        rdrop.fit(*resumed.data(), verbose=0, callbacks=[ExactResume(tmp_path)])

    fit(None)
    with pytest.raises(ValueError, match=r"as many replicas.* 2 replicas, and a checkpoint of 1"):
        fit(mirrored.scope())


def test_a_process_that_lost_its_peer_ends_and_both_go_on(tmp_path: Path) -> None:
    """SIGTERM of one, after which all save and end, is `benchmarks.faults`'."""

    def run(number: int, step: int = 0) -> list[tuple[int, str]]:
        module = "tests.distribute.resuming"
        return fleet.wait(fleet.start(module, str(tmp_path), str(number), str(step)))

    began = time.monotonic()
    (code, said), (killed, _) = run(signal.SIGKILL, 7)
    assert (code, killed) == (75, -signal.SIGKILL)
    assert "another worker of this training has ended or cannot be reached" in said
    assert time.monotonic() - began < 120
    newest = CheckpointStore(tmp_path / "broken").newest()
    assert newest is not None
    assert newest.step == 7

    ends = run(0)
    assert [code for code, _ in ends] == [0, 0], "\n".join(said[-3000:] for _, said in ends)
    for worker in (0, 1):
        found = json.loads((tmp_path / f"{worker}.json").read_text("utf-8"))
        assert_equal(found["broken"], found["whole"])


def test_workers_with_folders_of_their_own_are_refused(mirrored: Any) -> None:
    """Two replicas stand for two workers: what they find is compared across them."""
    from rdrop_tf.training.agreement import Agreement

    with mirrored.scope():
        model = RDropModel(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]))
    alone = Agreement(model)
    assert alone.any_of(True, False) == (True, False)
    alone.check_equal(3, "rule")
    several = Agreement(model)
    several._strategy = _Two(mirrored)
    assert several.any_of(True, False) == (True, False)
    with pytest.raises(ValueError, match=r"one folder. Received: steps 3, 4 \(-1: none\)"):
        several.check_equal(3, "one folder")


class _Two:
    """A strategy whose second replica has found one step more."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def experimental_distribute_values_from_function(self, function: Any) -> Any:
        return self._inner.experimental_distribute_values_from_function(
            lambda context: function(context) + np.int64(context.replica_id_in_sync_group)
        )
