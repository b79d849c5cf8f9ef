from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from numpy.typing import NDArray

from rdrop_tf.training import make_optimizer

RATE, DECAY = 0.1, 0.3


def _network() -> keras.Model:
    """Every kind of layer whose weights are not decayed, and some whose are."""
    x = keras.Input((4,))
    h = layers.Dense(8, name="dense")(x)
    for kind in (layers.BatchNormalization, layers.LayerNormalization, layers.RMSNormalization):
        h = kind()(h)
    h = layers.GroupNormalization(groups=2)(h)
    return keras.Model(x, layers.Dense(2, name="head")(h))


def _filled(model: keras.Model) -> None:
    """Sets every weight to something that decay would move."""
    for variable in model.trainable_variables:
        variable.assign(ops.full(variable.shape, 2.0))


def _values(model: keras.Model) -> dict[str, NDArray[Any]]:
    return {v.path: ops.convert_to_numpy(v).copy() for v in model.trainable_variables}


def _step(
    optimizer: keras.optimizers.Optimizer, model: keras.Model, gradient: float
) -> dict[str, NDArray[Any]]:
    """Takes one step of equal gradients; returns what it subtracted from each weight."""
    before = _values(model)
    variables = model.trainable_variables
    optimizer.apply([ops.full(v.shape, gradient) for v in variables], variables)
    return {path: before[path] - value for path, value in _values(model).items()}


def _rates(optimizer: keras.optimizers.Optimizer, steps: int) -> NDArray[Any]:
    schedule = optimizer._learning_rate
    return np.array([float(schedule(step)) for step in range(steps + 1)])


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_decay_moves_kernels_alone_by_rate_times_decay(name: str) -> None:
    model = _network()
    _filled(model)
    optimizer = make_optimizer(model, 10**6, learning_rate=RATE, name=name, weight_decay=DECAY)
    moved = _step(optimizer, model, gradient=0.0)
    kernels = [path for path in moved if path.endswith("kernel")]
    assert len(kernels) == 2
    for path, change in moved.items():
        expected = RATE * DECAY * 2.0 if path in kernels else 0.0
        np.testing.assert_allclose(change, expected, rtol=1e-4, err_msg=path)


@pytest.mark.tensorflow
def test_decay_leaves_out_a_bert_encoders_layer_norms_and_biases() -> None:
    hub = pytest.importorskip("keras_hub")
    model = hub.models.BertBackbone(
        vocabulary_size=20, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=8
    )
    _filled(model)
    optimizer = make_optimizer(model, 10**6, learning_rate=RATE, weight_decay=DECAY)
    moved = _step(optimizer, model, gradient=0.0)
    decayed = {path for path, change in moved.items() if np.abs(change).max() > 0}
    # A layer: four kernels of attention, two of the feed-forward part; three embeddings; a pooler.
    assert len(decayed) == 10
    assert all(path.endswith(("kernel", "embeddings")) for path in decayed)
    kept = set(moved) - decayed
    assert {path.rpartition("/")[2] for path in kept} == {"bias", "gamma", "beta"}


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize(("warmup", "rising"), [(0.0, 0), (0.1, 10), (0.001, 1)])
def test_the_rate_rises_falls_and_ends_at_0(schedule: str, warmup: float, rising: int) -> None:
    steps = 100
    optimizer = make_optimizer(
        _network(), steps, learning_rate=RATE, schedule=schedule, warmup=warmup
    )
    t = np.arange(steps + 1)
    along = (t - rising) / (steps - rising)
    falling = 1 - along if schedule == "linear" else (1 + np.cos(np.pi * along)) / 2
    expected = RATE * np.where(t < rising, t / max(rising, 1), falling)
    np.testing.assert_allclose(_rates(optimizer, steps), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2])
def test_the_shortest_runs_have_rates(schedule: str, warmup: float, steps: int) -> None:
    optimizer = make_optimizer(
        _network(), steps, learning_rate=RATE, schedule=schedule, warmup=warmup
    )
    rates = _rates(optimizer, steps)
    assert np.isfinite(rates).all()
    assert rates.min() >= 0
    assert rates.max() <= RATE * (1 + 1e-6)


def test_adam_has_the_betas_and_the_epsilon() -> None:
    optimizer = make_optimizer(
        _network(), 9, learning_rate=RATE, beta_1=0.8, beta_2=0.98, epsilon=1e-6
    )
    assert isinstance(optimizer, keras.optimizers.Adam)
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.8, 0.98, 1e-6)


def test_sgd_has_momentum() -> None:
    model = _network()
    optimizer = make_optimizer(model, 10**6, learning_rate=RATE, name="sgd", momentum=0.9)
    first, second = (_step(optimizer, model, gradient=1.0)["dense/kernel"] for _ in range(2))
    np.testing.assert_allclose(first, RATE, rtol=1e-4)
    np.testing.assert_allclose(second, 1.9 * RATE, rtol=1e-4)


def test_all_gradients_together_are_clipped() -> None:
    model = _network()
    optimizer = make_optimizer(model, 10**6, learning_rate=RATE, name="sgd", clip_norm=0.5)
    moved = _step(optimizer, model, gradient=3.0)
    norm = np.sqrt(sum(np.square(change).sum() for change in moved.values()))
    assert norm == pytest.approx(RATE * 0.5, rel=1e-4)
    small = _step(optimizer, model, gradient=1e-3)
    np.testing.assert_allclose(small["dense/kernel"], RATE * 1e-3, rtol=1e-2)


def test_accumulation_averages_gradients() -> None:
    model = _network()
    optimizer = make_optimizer(model, 10**6, learning_rate=RATE, name="sgd", accumulation=3)
    changes = [_step(optimizer, model, gradient)["dense/kernel"] for gradient in (1.0, 2.0, 6.0)]
    np.testing.assert_array_equal(changes[0], 0)
    np.testing.assert_array_equal(changes[1], 0)
    np.testing.assert_allclose(changes[2], RATE * 3.0, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "lion"}, "an optimizer must be one of adam, sgd; got 'lion'"),
        (
            {"schedule": "step"},
            "a schedule must be one of cosine, linear, inverse_square_root; got 'step'",
        ),
        ({"warmup": -0.1}, "warmup is a share of all steps or a number of steps; got -0.1"),
        (
            {"schedule": "inverse_square_root"},
            "warmup_steps must be 1 or more; got 0",
        ),
    ],
)
def test_bad_settings_are_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make_optimizer(_network(), 10, learning_rate=RATE, **options)


def test_an_inverse_square_root_rises_for_a_number_of_steps() -> None:
    optimizer = make_optimizer(
        _network(), 100, learning_rate=RATE, schedule="inverse_square_root", warmup=4
    )
    rates = _rates(optimizer, 16)
    assert rates[0] == pytest.approx(1e-7)
    assert rates.argmax() == 4
    np.testing.assert_allclose(rates[[2, 4, 16]], [RATE / 2, RATE, RATE / 2], rtol=1e-5)
