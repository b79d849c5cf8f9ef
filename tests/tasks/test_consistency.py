from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from rdrop_tf import RDropModel
from rdrop_tf.losses import symmetric_kl
from rdrop_tf.tasks import ConsistencyProbe, pass_divergence

X = np.random.default_rng(0).normal(size=(24, 6)).astype("float32")
Y = np.arange(24) % 3


def _network(dropout: float = 0.5) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.Dropout(dropout),
            layers.Dense(3),
        ]
    )


def _trained(alpha: float, probe: bool) -> tuple[keras.Model, dict[str, Any]]:
    keras.utils.set_random_seed(3)
    network = _network()
    model = RDropModel(network, alpha=alpha)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callbacks = [ConsistencyProbe(network, X, symmetric_kl)] if probe else []
    history = model.fit(X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=callbacks)
    return model, history.history


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_measuring_does_not_change_the_training(alpha: float) -> None:
    measured, logs = _trained(alpha, probe=True)
    unmeasured, _ = _trained(alpha, probe=False)
    assert len(logs["probe_kl"]) == 3
    for one, other in zip(measured.variables, unmeasured.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))


def test_against_two_passes_made_by_hand() -> None:
    network = _network()
    states = [ops.convert_to_numpy(variable) for variable in network.non_trainable_variables]
    measured = pass_divergence(network, X, symmetric_kl)
    for variable, state in zip(network.non_trainable_variables, states, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), state)
    first, second = (ops.convert_to_numpy(network(X, training=True)) for _ in range(2))
    p, q = (np.exp(z) / np.exp(z).sum(-1, keepdims=True) for z in (first, second))
    expected = (0.5 * (p - q) * (np.log(p) - np.log(q))).sum(-1).mean()
    assert measured == pytest.approx(expected, rel=1e-5)


def test_without_dropout_the_passes_agree() -> None:
    assert pass_divergence(_network(dropout=0.0), X, symmetric_kl) == 0


def test_the_state_comes_back_after_an_error() -> None:
    network = _network()
    before = [ops.convert_to_numpy(variable) for variable in network.non_trainable_variables]
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the backend raises
        pass_divergence(network, X[:, :5], symmetric_kl)
    for variable, state in zip(network.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), state)


def test_every_second_epoch_and_the_last() -> None:
    probe = ConsistencyProbe(_network(), X, symmetric_kl, every=2)
    probe.set_params({"epochs": 5})
    epochs: list[dict[str, float]] = [{} for _ in range(5)]
    for epoch, logs in enumerate(epochs):
        probe.on_epoch_end(epoch, logs)
    assert [bool(logs) for logs in epochs] == [False, True, False, True, True]
