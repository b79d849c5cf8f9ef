"""Under `tf.distribute` two replicas train as one device does on the global batch."""

import contextlib
import warnings
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from benchmarks import exactness_cases as cases
from rdrop_tf import RDropModel
from tests.models import zoo

pytestmark = pytest.mark.tensorflow


# Of the matrix that `benchmarks.exactness` goes through on more devices.
CASES = (
    "unequal tokens",
    "uneven first batch",
    "an empty replica",
    "token weights",
    "rows, regularised",
    "global_clipnorm",
    "accumulation, every 2nd update",
    "accumulation, AdamW, a schedule",
    "the paper's scale",
    "strings, flags, ragged",
)


@pytest.mark.parametrize("name", CASES)
def test_two_replicas_train_as_one_device(name: str, mirrored: Any) -> None:
    case = cases.CASES[name]
    one, one_logs = cases.train(case, contextlib.nullcontext())
    two, two_logs = cases.train(case, mirrored.scope())
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-6)
    assert two_logs == pytest.approx(one_logs, rel=2e-6)
    assert one_logs["kl"] > 1e-4, "the passes must differ, or the test says nothing"


def test_averages_of_weights_that_overwrite_them(mirrored: Any) -> None:
    """With accumulated gradients, which alone is the other branch that Keras makes."""
    x, y = zoo.features()
    found = []
    for strategy in (None, mirrored):
        keras.utils.set_random_seed(3)
        with strategy.scope() if strategy else contextlib.nullcontext():
            rdrop = RDropModel(zoo.functional(0.0), alpha=0.0)
            optimizer = keras.optimizers.Adam(
                1e-2, use_ema=True, ema_overwrite_frequency=2, gradient_accumulation_steps=2
            )
            rdrop.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        rdrop.fit(x, y, batch_size=4, shuffle=False, verbose=0)
        found.append(rdrop.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-6)


@pytest.mark.parametrize("option", ["gradient_accumulation_steps", "ema_overwrite_frequency"])
def test_a_loss_scale_and_branches_of_the_optimizer_are_refused(option: str, mirrored: Any) -> None:
    with mirrored.scope():
        rdrop = RDropModel(zoo.half(0.1))
        inner = keras.optimizers.SGD(**{"use_ema": True, option: 2})
        with pytest.raises(ValueError, match=rf"do not go together: leave out {option}.*=2"):
            rdrop.compile(
                keras.optimizers.LossScaleOptimizer(inner),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )


@pytest.mark.parametrize(("alpha", "forward"), [(0.0, "concat"), (2.0, "two_calls")])
def test_losses_of_a_layer_that_waits_for_the_other_replicas(
    alpha: float, forward: str, mirrored: Any
) -> None:
    """Replicas are threads that change where one waits: losses of calls must not be mixed up."""
    x, y = zoo.features()
    found = []
    for strategy in (None, mirrored):
        keras.utils.set_random_seed(3)
        with strategy.scope() if strategy else contextlib.nullcontext():
            model = keras.Sequential(
                [
                    keras.Input((8,)),
                    layers.Dense(16, activity_regularizer=keras.regularizers.L2(0.1)),
                    layers.BatchNormalization(synchronized=strategy is not None),
                    layers.Dense(16, activity_regularizer=keras.regularizers.L2(0.1)),
                    layers.Dense(zoo.CLASSES),
                ]
            )
            rdrop = RDropModel(model, alpha=alpha, forward=forward)
            rdrop.compile(
                keras.optimizers.SGD(0.1),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nothing is random here, so that nothing differs
            logs = rdrop.fit(x, y, batch_size=9, shuffle=False, epochs=2, verbose=0).history
        found.append((rdrop.get_weights(), logs["loss"]))
    for a, b in zip(*(weights for weights, _ in found), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-6)
    assert found[1][1] == pytest.approx(found[0][1], rel=2e-6)


class _Whole(keras.metrics.Metric):
    """Counts in whole numbers, beside the real ones of other metrics; and holds a mean."""

    def __init__(self) -> None:
        super().__init__(name="whole")
        self.calls = self.add_variable((), "zeros", dtype="int64")
        self.most = self.add_variable((), "zeros", aggregation="mean")

    def update_state(self, y: Any, prediction: Any, sample_weight: Any = None) -> None:
        self.calls.assign(self.calls + keras.ops.cast(keras.ops.shape(y)[0], "int64"))
        self.most.assign(keras.ops.ones(()))

    def result(self) -> Any:
        return keras.ops.cast(self.calls, "float32") + 100 * self.most


def test_the_logs_of_every_step_are_those_of_one_device(mirrored: Any) -> None:
    """Of uneven batches too, where the mean of two replicas' means is another one."""
    seen: list[list[dict[str, float]]] = []

    class See(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen[-1].append({name: float(value) for name, value in logs.items()})

    for strategy in (None, mirrored):
        seen.append([])
        keras.utils.set_random_seed(5)
        with strategy.scope() if strategy else contextlib.nullcontext():
            rdrop = RDropModel(cases.token_model(), alpha=3.0, forward="two_calls")
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            rdrop.compile("sgd", loss, metrics=["accuracy", _Whole()])
        data = cases.unequal_tokens(12)
        rdrop.fit(*data, batch_size=9, shuffle=False, verbose=0, callbacks=[See()])
    assert [len(logs) for logs in seen] == [2, 2]
    for one, two in zip(*seen, strict=True):
        assert two == pytest.approx(one, rel=2e-6)


def test_evaluation_of_two_replicas_is_that_of_one_device(mirrored: Any) -> None:
    data = cases.unequal_tokens(35)
    results = []
    for strategy in (None, mirrored):
        keras.utils.set_random_seed(5)
        with strategy.scope() if strategy else contextlib.nullcontext():
            rdrop = RDropModel(cases.token_model())
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            rdrop.compile("sgd", loss, metrics=["accuracy"])
        results.append(rdrop.evaluate(*data, batch_size=8, verbose=0, return_dict=True))
    assert results[0].keys() == results[1].keys() == {"loss", "ce", "accuracy"}
    for key, value in results[0].items():
        assert results[1][key] == pytest.approx(value, rel=2e-6), key


class _Tap(layers.Dropout):
    """Dropout that shows its masks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(0.5, **options)
        self.masks: list[np.ndarray] = []

    def call(self, inputs: Any, training: bool = False) -> Any:
        outputs = super().call(inputs, training=training)
        if training:
            self.masks.append(outputs.numpy() > 0)
        return outputs


def test_masks_differ_between_passes_replicas_and_steps(mirrored: Any) -> None:
    with mirrored.scope():
        tap = _Tap(seed=3)
        model = keras.Sequential([keras.Input((400,)), tap, layers.Dense(2)])
        rdrop = RDropModel(model, forward="two_calls")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rdrop.compile("sgd", loss, run_eagerly=True)
    rdrop.fit(np.ones((8, 400), "float32"), np.zeros(8), batch_size=4, verbose=0)
    masks = tap.masks
    assert len(masks) == 8, "2 steps, 2 replicas, 2 passes"
    for a in range(8):
        for b in range(a):
            assert 0.4 < np.mean(masks[a] == masks[b]) < 0.6, "equal by chance only"


class _Kept(layers.Layer):
    """Keeps what it gets in training."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[np.ndarray] = []

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            self.seen.append(inputs.numpy())
        return inputs


def attention() -> keras.Model:
    x = keras.Input((40, 4))
    return keras.Model(x, layers.MultiHeadAttention(1, 4, dropout=0.5, seed=1)(x, x))


def stochastic_depth() -> keras.Model:
    """Whole rows of a residual branch are left out."""
    x = keras.Input((40, 4))
    return keras.Model(x, x + layers.Dropout(0.5, noise_shape=(None, 1, 1), seed=1)(x))


# How many of the outputs two different draws share: of attention none, of depth as many as fall
# on the same side of a coin.
NOISE = {"attention": (attention, 0.0, 0.01), "stochastic depth": (stochastic_depth, 0.35, 0.65)}


@pytest.mark.parametrize("name", NOISE)
def test_other_noise_differs_alike(name: str, mirrored: Any) -> None:
    build, least, most = NOISE[name]
    with mirrored.scope():
        keras.utils.set_random_seed(0)
        inner, kept = build(), _Kept()
        model = keras.Sequential([inner, kept, layers.Flatten(), layers.Dense(2)])
        rdrop = RDropModel(model, forward="two_calls")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rdrop.compile("sgd", loss, run_eagerly=True)
    x = np.tile(zoo.rng().randn(1, 40, 4).astype("float32"), (400, 1, 1))
    rdrop.fit(x, np.zeros(400), batch_size=200, verbose=0)
    seen = [outputs for outputs in kept.seen if len(outputs) == 100]
    assert len(seen) == 8, "2 steps, 2 replicas, 2 passes"
    for place, outputs in enumerate(seen):
        for other in seen[:place]:
            assert least <= np.mean(outputs == other) <= most


def test_seed_states_stay_the_same_on_all_replicas(mirrored: Any) -> None:
    from rdrop_tf.models.seeds import seed_states

    with mirrored.scope():
        model = zoo.functional(0.3)
        rdrop = RDropModel(model)
        rdrop.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rdrop.fit(*zoo.features(), batch_size=8, verbose=0)
    for state in seed_states(rdrop):
        first, second = mirrored.experimental_local_results(state.value)
        np.testing.assert_array_equal(first.numpy(), second.numpy())


def test_an_overflow_on_one_replica_skips_the_step_on_all(mirrored: Any) -> None:
    """The second half of the batch overflows in float16; only that replica sees it."""
    with mirrored.scope():
        keras.utils.set_random_seed(1)
        rdrop = RDropModel(zoo.half(0.1))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rdrop.compile(keras.optimizers.SGD(0.1), loss)
    x, y = (a[:8] for a in zoo.features())
    before = rdrop.get_weights()
    bad = x.copy()
    bad[4:] = np.inf
    rdrop.fit(bad, y, batch_size=8, shuffle=False, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, rdrop.get_weights(), strict=True))
    assert float(rdrop.optimizer.dynamic_scale.value.numpy()) == 2.0**14
    rdrop.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    assert not all(np.array_equal(a, b) for a, b in zip(before, rdrop.get_weights(), strict=True))


def test_an_optimizer_by_name_is_made_in_the_scope_of_the_model(mirrored: Any) -> None:
    with mirrored.scope():
        rdrop = RDropModel(zoo.half(0.1))
    rdrop.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for optimizer in (rdrop.optimizer, rdrop.optimizer.inner_optimizer):
        assert optimizer._distribution_strategy is mirrored


def test_a_layer_that_was_built_outside_of_the_scope_is_refused(mirrored: Any) -> None:
    outside = layers.Dense(8, name="outside")
    outside.build((None, 8))
    with mirrored.scope():
        model = keras.Sequential([keras.Input((8,)), outside, layers.Dropout(0.1)])
        with pytest.raises(
            ValueError, match=r"Received: the variable 'outside/kernel', of a layer"
        ):
            RDropModel(model)


def test_several_steps_a_call_are_refused_also_after_compile(mirrored: Any) -> None:
    with mirrored.scope():
        rdrop = RDropModel(zoo.functional(0.1))
        rdrop.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rdrop.steps_per_execution = 4
    with pytest.raises(ValueError, match=r"each call makes one step: .*steps_per_execution=4"):
        rdrop.fit(*zoo.features(), verbose=0)


@pytest.mark.parametrize("where", ["model", "wrapper", "optimizer", "fit"])
def test_what_is_made_outside_of_the_scope_is_refused(where: str, mirrored: Any) -> None:
    inside = {"model", "wrapper", "optimizer"} - {where} if where != "fit" else {"fit"}

    def scope(name: str) -> Any:
        return mirrored.scope() if name in inside else contextlib.nullcontext()

    def train() -> None:
        with scope("model"):
            model = zoo.functional(0.1)
        with scope("optimizer"):
            optimizer = keras.optimizers.SGD()
        with scope("wrapper"):
            rdrop = RDropModel(model)
            rdrop.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        with scope("fit"):
            rdrop.fit(*zoo.features(), verbose=0)

    with pytest.raises(ValueError, match=r"same `strategy.scope\(\)`.*Received: .*Mirrored"):
        train()
