import keras
import numpy as np
import pytest
from keras import ops
from numpy.typing import NDArray

from rdrop_tf.training import InverseSquareRoot, WarmupLinearDecay


def _expected(
    steps: NDArray[np.float64], peak: float, total: int, warmup: int
) -> NDArray[np.float64]:
    """A straight line through (0, 0), (warmup, peak), (total, 0) and on."""
    if not warmup:
        return np.interp(steps, [0, total], [peak, 0])
    return np.interp(steps, [0, warmup, total], [0, peak, 0])


@pytest.mark.parametrize(
    ("peak", "total", "warmup"), [(1e-5, 5336, 320), (0.3, 10, 0), (1.0, 7, 6), (2.0, 1, 0)]
)
def test_it_is_a_line_up_and_a_line_down(peak: float, total: int, warmup: int) -> None:
    schedule = WarmupLinearDecay(peak, total, warmup)
    steps = np.unique(np.linspace(0, total + 5, 50).astype(int))
    found = [float(schedule(step)) for step in steps]
    np.testing.assert_allclose(
        found, _expected(steps, peak, total, warmup), rtol=1e-5, atol=1e-6 * peak
    )
    assert found[-1] == 0
    assert float(schedule(total)) == 0


def test_steps_may_be_tensors_of_integers() -> None:
    schedule = WarmupLinearDecay(1.0, 10, 2)
    rates = ops.convert_to_numpy(schedule(ops.convert_to_tensor([1, 2, 6], "int64")))
    np.testing.assert_allclose(rates, [0.5, 1, 0.5], rtol=1e-6)


def test_a_saved_model_goes_on_with_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("schedule") / "model.keras"
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(WarmupLinearDecay(0.4, 8, 2)), "mse")
    model.fit(np.ones((3, 2)), np.ones((3, 1)), batch_size=1, verbose=0)
    model.save(path)
    optimizer = keras.saving.load_model(path).optimizer
    assert float(ops.convert_to_numpy(optimizer.learning_rate)) == pytest.approx(0.4 * 5 / 6)
    schedule = optimizer._learning_rate
    assert isinstance(schedule, WarmupLinearDecay)
    assert schedule.get_config() == {"peak": 0.4, "total_steps": 8, "warmup_steps": 2}


@pytest.mark.parametrize(("total", "warmup"), [(10, 10), (10, 11), (10, -1), (0, 0)])
def test_a_warm_up_beyond_the_steps_is_named(total: int, warmup: int) -> None:
    text = (
        "warmup_steps must be from 0 to total_steps - 1; "
        f"got warmup_steps={warmup} and total_steps={total}"
    )
    with pytest.raises(ValueError, match=text):
        WarmupLinearDecay(1.0, total, warmup)


def test_an_inverse_square_root_is_fairseqs() -> None:
    """Formula of fairseq: lr = decay_factor / sqrt(step), decay_factor = peak * sqrt(warm-up)."""
    schedule = InverseSquareRoot(5e-4, 4000, 1e-7)
    for step in (0, 1, 3999, 4000, 4001, 300_000):
        rising = 1e-7 + step * (5e-4 - 1e-7) / 4000
        expected = rising if step < 4000 else 5e-4 * 4000**0.5 / step**0.5
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-5)
    read = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert read.get_config() == schedule.get_config()


def test_an_inverse_square_root_needs_a_warmup() -> None:
    with pytest.raises(ValueError, match=r"warmup_steps must be 1 or more; got 0"):
        InverseSquareRoot(1.0, 0)
