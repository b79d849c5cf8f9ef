"""The cost model of several devices is that of a ring, and its figures are kept."""

import numpy as np
import pytest

from benchmarks import scaling
from benchmarks.scaling_model import Link, Machine, fit_link
from rdrop_tf.text import Transformer
from rdrop_tf.training import make_strategy

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("devices", [2, 3, 8])
def test_a_ring_sends_as_many_bytes_in_as_many_turns(devices: int) -> None:
    """Of a ring that is gone through: each device holds as many parts as there are devices."""
    parts = np.random.default_rng(0).integers(0, 9, (devices, devices, 5))
    wanted, held, turns, sent = parts.sum(axis=0), parts.copy(), 0, 0
    for phase in ("add up", "hand on"):
        for turn in range(devices - 1):
            shift = turn if phase == "add up" else turn - 1
            given = [
                (d, (d - shift) % devices, held[d, (d - shift) % devices].copy())
                for d in range(devices)
            ]
            for device, part, values in given:
                peer = (device + 1) % devices
                held[peer, part] = held[peer, part] + values if phase == "add up" else values
            turns, sent = turns + 1, sent + parts[0, 0].size
    np.testing.assert_array_equal(held, np.broadcast_to(wanted, held.shape))
    assert Link(1.0, np.inf).ring(devices, 100.0) == turns
    assert Link(0.0, 1.0).ring(devices, parts[0].size) == pytest.approx(sent)


def test_nodes_add_up_inside_and_then_across() -> None:
    inside, outside = Link(1.0, 8.0), Link(10.0, 2.0)
    machine = Machine(flops=100.0, inside=inside, outside=outside, node=4)
    assert machine.seconds_to_add_up(4, 64.0) == inside.ring(4, 64.0)
    assert machine.seconds_to_add_up(8, 64.0) == inside.ring(4, 64.0) + outside.ring(2, 16.0)
    waiting = machine.seconds_to_add_up(8, 64.0)
    assert machine.seconds_of_a_step(8, 500.0, 64.0, overlap=0.25) == 5.0 + 0.75 * waiting
    assert machine.seconds_of_a_step(1, 500.0, 64.0, overlap=0.0) == 5.0


def test_noisy_measurements_give_the_link() -> None:
    link, sizes = Link(2e-4, 5e8), np.geomspace(1e3, 1e8, 9)
    noise = np.random.default_rng(0).uniform(0.95, 1.05, 9)
    found = fit_link(sizes, [link.ring(2, s) * n for s, n in zip(sizes, noise, strict=True)], 2)
    assert found.latency == pytest.approx(link.latency, rel=0.05)
    assert found.bandwidth == pytest.approx(link.bandwidth, rel=0.05)


def test_weights_are_those_of_the_model() -> None:
    size = {"layers": 2, "width": 24, "hidden": 40}
    model = Transformer.of_size("tiny", 50, **size)
    model({"source": np.ones((1, 3), "int32"), "target": np.ones((1, 3), "int32")})
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert scaling.weights(size, 50) == trainable


def test_a_process_times_steps() -> None:
    changes, subwords, rows = scaling.SMOKE["smoke"]
    found = scaling.step_of(make_strategy("none"), changes, subwords, rows, steps=2)
    assert len(found["seconds"]) == 2
    assert found["bytes"] == 4 * scaling.weights({**changes}, subwords)


def test_rows_hold_measurement_and_prediction() -> None:
    step = {"seconds": [0.1, 0.1], "bytes": 10**6}
    link = Link(1e-3, 1e9)
    sums = [link.ring(2, 1e6 * size) for size in (0.01, 1.0, 10.0)]
    each = {"steps": {"model": step}, "sums": sums}
    *_, row = scaling.rows(["model"], (0.01, 1.0, 10.0), each, [each, each], [each, each])
    assert row["predicted_ms"] == pytest.approx(100 + 1000 * link.ring(2, 1e6), abs=0.01)
    assert (row["alone_ms"], row["two_together_ms"], row["efficiency"]) == (100.0, 100.0, 1.0)


def test_the_kept_figures_are_of_all_models_and_the_prediction_is_of_this_model() -> None:
    rows = scaling.report.read(scaling.report.RESULTS / "scaling.csv")
    steps = [row for row in rows if row["kind"] == "step"]
    assert [row["what"] for row in steps] == list(scaling.MODELS)
    kept = scaling.report.read(scaling.report.RESULTS / "scaling_prediction.csv")
    for row, now in zip(kept, scaling.predicted_big(), strict=True):
        assert {name: float(row[name]) for name in now} == pytest.approx(now)
