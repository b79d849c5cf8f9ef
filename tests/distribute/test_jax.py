"""On JAX a batch that lies on two devices trains as on one."""

from typing import Any

import keras
import numpy as np
import pytest

from benchmarks import exactness_cases as cases
from rdrop_tf.training import make_strategy

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="of JAX")

NAMES = (
    "unequal tokens",
    "row weights",
    "global_clipnorm",
    "accumulation, every 2nd update",
    "every 2nd step",
)


def even(case: cases.Case) -> cases.Case:
    """Batches that two devices can share: JAX wants as many rows on each."""
    rows = 4 * (cases.BATCH - 1)
    data = tuple(part[:rows] for part in case.data())
    return cases.Case(case.build, lambda: data, case.optimizer, case.wrap)


@pytest.mark.parametrize("name", NAMES)
def test_two_devices_train_as_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "BATCH", cases.BATCH - 1)
    case = even(cases.CASES[name])
    one = cases.train(case, make_strategy("none").scope())
    strategy = make_strategy("mirrored")
    assert strategy.replicas == 2
    two = cases.train(case, strategy.scope())
    for a, b in zip(one[0], two[0], strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-6)
    for log, value in one[1].items():
        assert two[1][log] == pytest.approx(value, rel=2e-6), log


def test_devices_draw_their_own_masks() -> None:
    """Each device has its rows of one mask over the whole batch."""
    import jax

    with make_strategy("mirrored").scope():
        keras.utils.set_random_seed(0)
        layout = keras.distribution.distribution().get_data_layout((8, 400))
        x = keras.distribution.distribute_tensor(np.ones((8, 400), "float32"), layout)

        def dropped(x: Any) -> Any:
            return keras.random.dropout(x, 0.5, seed=3)

        parts = [np.asarray(shard.data) > 0 for shard in jax.jit(dropped)(x).addressable_shards]
    assert len(parts) == 2
    assert 0.4 < np.mean(parts[0] == parts[1]) < 0.6
