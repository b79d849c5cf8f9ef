"""`gradient_norm` in the logs, against gradients taken by finite differences or by plain Keras."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf import RDropModel

CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy
X = np.random.default_rng(0).integers(0, 5, (6, 4))
Y = np.array([0, 1, 2, 0, 1, 2])


def _network(rate: float = 0.0) -> keras.Model:
    """Repeated ids, so that rows of the embedding's gradient have to be added up."""
    return keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            keras.layers.Embedding(5, 3, embeddings_initializer="uniform"),
            keras.layers.Flatten(),
            keras.layers.Dropout(rate, seed=1),
            keras.layers.Dense(3),
        ]
    )


def _logs(model: RDropModel, **options: Any) -> Mapping[str, list[float]]:
    history = model.fit(X, Y, batch_size=6, shuffle=False, verbose=0, **options)
    logs: Mapping[str, list[float]] = history.history
    return logs


def _compiled(alpha: float, optimizer: Any = None, **arguments: Any) -> RDropModel:
    keras.utils.set_random_seed(3)
    model = RDropModel(_network(0.0 if alpha == 0 else 0.4), alpha=alpha, **arguments)
    model.compile(optimizer or keras.optimizers.SGD(1.0), CROSS_ENTROPY(from_logits=True))
    return model


@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_it_is_the_length_of_a_step_of_plain_descent(alpha: float) -> None:
    model = _compiled(alpha)
    model.log_gradient_norm = True
    before = [np.array(v) for v in model.trainable_variables]
    logs = _logs(model)
    after = [np.array(v) for v in model.trainable_variables]
    moved = sum(np.sum((a - b) ** 2) for a, b in zip(after, before, strict=True))
    assert logs["gradient_norm"][0] == pytest.approx(np.sqrt(moved), rel=1e-5)


@pytest.mark.one_backend
def test_clipping_comes_after_it() -> None:
    free, clipped = _compiled(2.0), _compiled(2.0, keras.optimizers.SGD(1.0, global_clipnorm=0.01))
    free.log_gradient_norm = clipped.log_gradient_norm = True
    norm = _logs(free)["gradient_norm"][0]
    assert _logs(clipped)["gradient_norm"][0] == pytest.approx(norm, rel=1e-6)
    assert norm > 0.1


@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_training_is_the_same_with_it(alpha: float) -> None:
    plain, logged = _compiled(alpha), _compiled(alpha)
    logged.log_gradient_norm = True
    logs = [_logs(model, epochs=3) for model in (plain, logged)]
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], rtol=1e-6)
    for a, b in zip(plain.get_weights(), logged.get_weights(), strict=False):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert "gradient_norm" not in logs[0]
    assert len(logs[1]["gradient_norm"]) == 3


@pytest.mark.one_backend
def test_it_can_be_asked_for_between_epochs() -> None:
    model = _compiled(2.0)
    assert "gradient_norm" not in _logs(model)
    model.log_gradient_norm = True
    assert "gradient_norm" in _logs(model)
    assert "gradient_norm" not in model.evaluate(X, Y, return_dict=True, verbose=0)
    model.log_gradient_norm = False
    assert "gradient_norm" not in _logs(model)


@pytest.mark.one_backend
def test_of_turns_each_step_counts() -> None:
    model = _compiled(2.0, every=2)
    model.log_gradient_norm = True
    assert _logs(model, epochs=4)["gradient_norm"][-1] > 0


def test_a_loss_scale_is_taken_out_and_skipped_steps_do_not_count() -> None:
    norms = []
    for scale in (1.0, 1024.0, 3e38):  # the last one makes the scaled loss infinite
        optimizer = keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(0.0), initial_scale=scale
        )
        model = _compiled(2.0, optimizer)
        model.log_gradient_norm = True
        norms.append(_logs(model)["gradient_norm"][0])
    assert norms[0] > 0
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    assert norms[2] == 0


@pytest.mark.tensorflow
def test_two_replicas_log_that_of_the_global_batch(mirrored: Any) -> None:
    alone = _compiled(0.0)
    alone.log_gradient_norm = True
    norm = _logs(alone)["gradient_norm"][0]
    with mirrored.scope():
        both = _compiled(0.0)
    both.log_gradient_norm = True
    assert _logs(both)["gradient_norm"][0] == pytest.approx(norm, rel=1e-5)
