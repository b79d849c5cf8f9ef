"""A loss that is no number ends the training with its place, or the step is left out."""

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf import RDropModel
from rdrop_tf.data import ArrayEpochs
from rdrop_tf.training import ExactResume, SkipNonFinite, StopAtNonFinite
from rdrop_tf.training.checkpoint_store import CheckpointStore
from tests.models import zoo

LOSS = keras.losses.SparseCategoricalCrossentropy


def compiled(optimizer: Any = None, alpha: float = 1.0, scope: Any = None) -> RDropModel:
    keras.utils.set_random_seed(1)
    rdrop = RDropModel(zoo.functional(0.3), alpha=alpha)
    rdrop.compile(optimizer or keras.optimizers.Adam(1e-2), LOSS(from_logits=True))
    return rdrop


def rows(*bad_batches: int, value: float = np.nan) -> tuple[np.ndarray, np.ndarray]:
    """Five batches of 8, of which some hold what is no number."""
    x, y = zoo.features()
    for batch in bad_batches:
        x[8 * batch + 3] = value
    return x, y


def fit(rdrop: RDropModel, data: Any, *callbacks: Any, **options: Any) -> dict[str, Any]:
    options = {"batch_size": 8, "shuffle": False, "verbose": 0, **options}
    return rdrop.fit(*data, callbacks=list(callbacks), **options).history


def test_it_names_step_place_and_checkpoint(tmp_path: Path) -> None:
    resume = ExactResume(tmp_path, every_steps=2)
    with pytest.raises(FloatingPointError) as raised:
        fit(compiled(), rows(3), StopAtNonFinite(resume=resume), resume)
    newest = CheckpointStore(tmp_path).paths()[0]
    assert str(raised.value) == (
        "the loss must be a finite number. Received: nan in step 4 (epoch 1, batch 4 of 5); "
        f"the last checkpoint is {newest}"
    )
    assert CheckpointStore(tmp_path).newest().step == 2  # type: ignore[union-attr]


@pytest.mark.one_backend
def test_the_place_counts_from_the_beginning_of_a_resumed_training(tmp_path: Path) -> None:
    class Unsaid(ArrayEpochs):
        """Says nothing of its rows, so that others can be put in their place."""

        def facts(self) -> dict[str, Any]:
            return {}

    def train(data: Any) -> None:
        resume = ExactResume(tmp_path, every_steps=1)
        batches = Unsaid(data, 8, shuffle=False)
        fit(compiled(), (batches,), StopAtNonFinite(resume=resume), resume, epochs=2)

    with pytest.raises(FloatingPointError, match=r"step 3 \(epoch 1, batch 3 of 5\)"):
        train(rows(2))
    with pytest.raises(FloatingPointError, match=r"step 5 \(epoch 1, batch 5 of 5\)"):
        train(rows(4))


@pytest.mark.one_backend
def test_without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match=r"Received: (nan|inf) in epoch 1, batch 1$"):
        fit(compiled(), rows(0), StopAtNonFinite())
    resume = ExactResume(tmp_path)
    with pytest.raises(FloatingPointError, match=r"batch 1 of 5\); nothing was saved before it"):
        fit(compiled(), rows(0), StopAtNonFinite(resume=resume), resume)


@pytest.mark.one_backend
def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    """The loss of the step that spoils them is finite: nothing else notices."""

    class Spoil(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if batch == 2:
                kernel = self.model.trainable_variables[0]
                kernel.assign(np.full(kernel.shape, np.inf))

    with pytest.raises(FloatingPointError, match=r"must hold finite numbers. Received: '.*kernel'"):
        fit(compiled(), rows(), Spoil(), ExactResume(tmp_path, every_steps=1))
    assert CheckpointStore(tmp_path).newest().step == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_steps_are_left_out(alpha: float, value: float) -> None:
    """What is left out is as if it were not among the data, but for the noise it has drawn."""
    x, y = rows(1, 3, value=value)
    skipping = compiled(SkipNonFinite(keras.optimizers.Adam(1e-2)), alpha)
    seen: list[list[np.ndarray]] = []

    class See(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if keras.backend.backend() == "jax":
                self.model.jax_state_sync()
            seen.append(self.model.get_weights())

    logs = fit(skipping, (x, y), See(), StopAtNonFinite(skips=2))
    same = [
        all(np.array_equal(a, b) for a, b in zip(*pair, strict=True))
        for pair in itertools.pairwise(seen)
    ]
    assert same == [True, False, True, False]
    assert logs["skipped"] == [2.0]
    assert np.isfinite([logs[name][0] for name in ("loss", "ce", "kl")]).all()
    assert int(keras.ops.convert_to_numpy(skipping.optimizer.iterations)) == 3


@keras.saving.register_keras_serializable(package="tests")
class RootOfZero(keras.layers.Layer):
    """Adds a square root, whose gradient is infinite where its input is 0."""

    def call(self, inputs: Any) -> Any:
        return inputs[:, 1:] + keras.ops.sqrt(inputs[:, :1])


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_finite_loss_with_other_gradients_is_left_out_and_counted(alpha: float) -> None:
    keras.utils.set_random_seed(1)
    kernel = keras.layers.Dense(4, use_bias=False, kernel_initializer="ones", name="kernel")
    layers = [keras.Input((8,)), keras.layers.Dropout(0.1), kernel, RootOfZero()]
    rdrop = RDropModel(keras.Sequential(layers), alpha=alpha)
    adam = SkipNonFinite(keras.optimizers.Adam(1e-2))
    rdrop.compile(adam, LOSS(from_logits=True), metrics=["accuracy"])
    x, y = (part[:24] for part in zoo.features())
    x, y = np.abs(x) + 0.1, np.minimum(y, 2)
    x[8:16] = 0.0  # the second batch
    guard = StopAtNonFinite(skips=1)
    logs = fit(rdrop, (x, y), guard)
    assert (logs["skipped"], guard.skipped) == ([1.0], 1)
    assert np.isfinite(logs["loss"][0])
    assert int(keras.ops.convert_to_numpy(adam.iterations)) == 2
    counts = [v for v in rdrop.metrics_variables if v.path.endswith("accuracy/count")]
    assert [float(keras.ops.convert_to_numpy(v)) for v in counts] == [16.0], "of two batches"
    with pytest.raises(FloatingPointError, match="at most 1 steps"):
        fit(rdrop, (np.zeros_like(x), y), StopAtNonFinite(skips=1))


def test_where_nothing_is_left_out_training_is_the_same() -> None:
    plain, skipping = compiled(), compiled(SkipNonFinite(keras.optimizers.Adam(1e-2)))
    logs = [fit(model, rows()) for model in (plain, skipping)]
    assert logs[1].pop("skipped") == [0.0]
    assert logs[0] == logs[1]
    assert zoo.largest_difference(plain, skipping) == 0.0


@pytest.mark.one_backend
def test_too_many_are_named() -> None:
    skipping = compiled(SkipNonFinite(keras.optimizers.Adam(1e-2)))
    guard = StopAtNonFinite(skips=3)
    with pytest.raises(FloatingPointError, match=r"at most 3 steps.*the 4. in epoch 2, batch 4"):
        fit(skipping, rows(1, 3), guard, epochs=3)


@pytest.mark.one_backend
def test_a_training_that_goes_on_counts_on(tmp_path: Path) -> None:
    for epochs in (1, 2):
        guard = StopAtNonFinite(skips=9)
        skipping = compiled(SkipNonFinite(keras.optimizers.Adam(1e-2)))
        fit(skipping, rows(1, 3), guard, ExactResume(tmp_path), epochs=epochs)
    assert guard.skipped == 4


@pytest.mark.one_backend
def test_it_is_saved_with_the_model(tmp_path: Path) -> None:
    skipping = compiled(SkipNonFinite(keras.optimizers.Adam(1e-2)))
    fit(skipping, rows(1))
    skipping.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.skips_non_finite
    assert float(loaded.optimizer.learning_rate) == pytest.approx(1e-2)


@pytest.mark.one_backend
def test_half_precision_needs_its_own_scale() -> None:
    rdrop = RDropModel(zoo.half(0.1))
    with pytest.raises(ValueError, match="mixed_float16 needs a real loss scale"):
        rdrop.compile(SkipNonFinite(keras.optimizers.SGD()), LOSS(from_logits=True))


@pytest.mark.one_backend
def test_a_number_of_steps_below_0() -> None:
    with pytest.raises(ValueError, match=r"`skips` must be a number >= 0\. Received: skips=-1"):
        StopAtNonFinite(skips=-1)


@pytest.mark.tensorflow
def test_what_is_no_number_on_one_replica_is_left_out_on_both(mirrored: Any) -> None:
    with mirrored.scope():
        rdrop = compiled(SkipNonFinite(keras.optimizers.SGD(0.1)))
    x, y = (part[:16] for part in rows(1))  # row 3 of 8: the first replica's
    alone, logs = compiled(SkipNonFinite(keras.optimizers.SGD(0.1)), alpha=0.0), fit(rdrop, (x, y))
    assert logs["skipped"] == [1.0]
    assert np.isfinite(logs["loss"][0])
    assert all(np.isfinite(weight).all() for weight in rdrop.get_weights())
    assert zoo.largest_difference(alone, rdrop) > 1e-4, "the other step was taken"
