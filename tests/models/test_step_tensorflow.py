"""Under `tf.distribute` two replicas train as one device does on the global batch."""

import contextlib
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from rdrop_tf import RDropModel
from tests.models import zoo
from tests.models.test_passes import PassScale

pytestmark = pytest.mark.tensorflow


def token_model() -> keras.Model:
    """Two passes differ, in the same way on every replica and every run."""
    keras.utils.set_random_seed(5)
    x = keras.Input((zoo.TOKENS,), dtype="int32")
    h = layers.Embedding(20, 12, keras.initializers.RandomNormal(stddev=0.3), mask_zero=True)(x)
    h = PassScale()(layers.Dense(16)(h))
    return keras.Model(x, layers.Dense(zoo.CLASSES)(h))


def row_model() -> keras.Model:
    keras.utils.set_random_seed(5)
    x = keras.Input((8,))
    h = layers.Dense(16, "tanh", kernel_regularizer="l2", activity_regularizer="l2")(x)
    return keras.Model(x, layers.Dense(zoo.CLASSES)(PassScale()(h)))


def unequal_tokens(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows 0-3 of each 8 are full, the others hold one token: 24 tokens against 4."""
    ids, labels = zoo.tokens()
    ids = np.tile(zoo.rng(7).randint(1, 20, (8, zoo.TOKENS)), (5, 1))
    ids[np.arange(40) % 8 >= 4, 1:] = 0
    return ids[:rows], labels[:rows]


def fit(build: Any, data: Any, strategy: Any, **options: Any) -> tuple[keras.Model, dict[str, Any]]:
    optimizer = options.pop("optimizer", lambda: keras.optimizers.SGD(0.05, momentum=0.9))
    wrapping = options.pop("wrap", {})
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = build()
        rdrop = RDropModel(model, **{"alpha": 3.0, "forward": "two_calls", **wrapping})
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rdrop.compile(optimizer(), loss, metrics=["accuracy"])
    logs = rdrop.fit(*data, batch_size=8, shuffle=False, verbose=0, **options).history
    return model, logs


CASES: dict[str, dict[str, Any]] = {
    "unequal tokens": {"data": unequal_tokens(40)},
    "uneven last batch": {"data": unequal_tokens(35)},
    "uneven first batch": {"data": unequal_tokens(7)},
    "an empty replica": {"data": unequal_tokens(33)},
    "row weights": {"data": unequal_tokens(35), "sample_weight": zoo.ROW_WEIGHTS[:35]},
    "rows": {"build": row_model, "data": tuple(a[:35] for a in zoo.features())},
    "clipnorm": {
        "data": unequal_tokens(35),
        "optimizer": lambda: keras.optimizers.SGD(0.05, clipnorm=0.02),
    },
    "global_clipnorm": {
        "data": unequal_tokens(35),
        "optimizer": lambda: keras.optimizers.SGD(0.05, global_clipnorm=0.02),
    },
    "clipvalue": {
        "data": unequal_tokens(35),
        "optimizer": lambda: keras.optimizers.SGD(0.05, clipvalue=0.005),
    },
    "paper's scale": {"data": unequal_tokens(35), "wrap": {"normalize": "paper"}},
    "alpha 0": {"data": unequal_tokens(35), "wrap": {"alpha": 0.0}},
}


@pytest.mark.parametrize("name", CASES)
def test_two_replicas_train_as_one_device(name: str, mirrored: Any) -> None:
    case = dict(CASES[name])
    build = case.pop("build", token_model)
    data = case.pop("data")
    one, one_logs = fit(build, data, None, **case)
    two, two_logs = fit(build, data, mirrored, **case)
    assert zoo.largest_difference(one, two) <= 1e-6
    for key in ("loss", "ce", "kl", "accuracy"):
        np.testing.assert_allclose(two_logs[key], one_logs[key], rtol=2e-6, err_msg=key)
    if name != "alpha 0":
        assert one_logs["kl"][0] > 1e-4, "the passes must differ, or the test says nothing"


def test_turns_of_every_under_two_replicas(mirrored: Any) -> None:
    data = unequal_tokens(35)
    one, one_logs = fit(token_model, data, None, wrap={"every": 2})
    two, two_logs = fit(token_model, data, mirrored, wrap={"every": 2})
    assert zoo.largest_difference(one, two) <= 1e-6
    np.testing.assert_allclose(two_logs["kl"], one_logs["kl"], rtol=2e-6)


def test_evaluation_of_two_replicas_is_that_of_one_device(mirrored: Any) -> None:
    data = unequal_tokens(35)
    results = []
    for strategy in (None, mirrored):
        with strategy.scope() if strategy else contextlib.nullcontext():
            rdrop = RDropModel(token_model())
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
