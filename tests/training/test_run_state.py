"""What a training is at one moment comes back, whatever holds it."""

import json
import random
from collections import defaultdict, deque
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from keras import layers

from rdrop_tf import RDropModel
from rdrop_tf.training.callback_states import CallbackStates
from rdrop_tf.training.run_state import (
    check_variables,
    random_state,
    restore_random_state,
    restore_variables,
    save_variables,
    variables_of,
)


def trained(optimizer: Any = "adam", width: int = 4, dtype: str = "float32") -> RDropModel:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="float32"),
            layers.Dense(width, dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            layers.Dropout(0.5, dtype=dtype),
            layers.Dense(2, dtype=dtype),
        ]
    )
    rdrop = RDropModel(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rdrop.compile(optimizer, loss, metrics=["accuracy"])
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    rdrop.fit(x, np.arange(8) % 2, verbose=0)
    return rdrop


def values(rdrop: RDropModel) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables_of(rdrop)]


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_every_variable_comes_back(dtype: str) -> None:
    rdrop = trained(dtype=dtype)
    before, arrays = values(rdrop), dict[str, Any]()
    save_variables(rdrop, arrays)
    for variable in variables_of(rdrop):
        variable.assign(keras.ops.zeros_like(variable))
    restore_variables(rdrop, arrays)
    for one, same in zip(values(rdrop), before, strict=True):
        assert one.dtype == same.dtype
        np.testing.assert_array_equal(one, same)


def test_all_that_a_step_moves_is_among_them() -> None:
    rdrop = trained()
    paths = " ".join(v.path for v in variables_of(rdrop))
    for part in ("kernel", "moving_mean", "seed_generator_state", "alpha", "momentum", "velocity"):
        assert part in paths
    assert "iteration" in paths
    assert {id(v) for v in rdrop.metrics_variables} <= {id(v) for v in variables_of(rdrop)}
    assert len({id(v) for v in variables_of(rdrop)}) == len(variables_of(rdrop))


def test_the_numbers_that_keras_gives_layers_do_not_count() -> None:
    arrays: dict[str, Any] = {}
    save_variables(trained(), arrays)
    other = trained()
    paths = [name.split(" ", 2)[2] for name in arrays]
    assert [v.path for v in variables_of(other)] != paths
    check_variables(other, arrays)


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"width": 5}, r"kernel' of shape \(3, 4\) and dtype float32 where .* of shape \(3, 5\)"),
        ({"optimizer": "sgd"}, r"'adam\w*/iteration' .* where 'sgd"),
    ],
)
def test_the_first_variable_that_differs_is_named(other: dict[str, Any], text: str) -> None:
    arrays: dict[str, Any] = {}
    save_variables(trained(), arrays)
    with pytest.raises(ValueError, match=rf"of the same model, compiled alike. .*{text}"):
        check_variables(trained(**other), arrays)


def test_the_generators_of_the_process_go_on() -> None:
    keras.utils.set_random_seed(7)

    def draw() -> list[float]:
        uniform = keras.ops.convert_to_numpy(keras.random.uniform(()))
        return [random.gauss(0, 1), float(np.random.normal()), float(uniform)]

    draw()
    arrays: dict[str, Any] = {}
    state = json.loads(json.dumps(random_state(arrays)))
    wanted = [draw() for _ in range(3)]
    restore_random_state(state, arrays)
    assert [draw() for _ in range(3)] == wanted


class Remembers(keras.callbacks.Callback):
    def __init__(self, patience: int = 3) -> None:
        super().__init__()
        self.patience = patience
        self.best: Any = None
        self.kept: deque[list[np.ndarray]] = deque(maxlen=2)
        self.pair = (1, "a")
        self.named = Best(0, 0.0)
        self.by_name: dict[Any, Any] = {}
        self.seen: set[int] = set()
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.function = len
        self.generator = iter([1])
        self.weights = np.zeros(2)


class Best(NamedTuple):
    epoch: int
    value: float


class Anew(Remembers):
    is_resumed = False


def test_what_callbacks_have_changed_comes_back() -> None:
    one, other = Remembers(), Remembers()
    states = CallbackStates([one, other])
    one.best, one.pair = np.float32(0.5), (2, "b")
    one.by_name["x"] = [1, None, {"y": float("inf")}, ("nested", {2})]
    one.by_name[7] = np.float64(0.25)
    one.seen |= {3, 1}
    one.named = Best(4, 0.5)
    one.counts["a"] += 1
    for number in range(3):
        one.kept.append([np.full(2, number), np.array("text")])
    other.weights += 1.0  # in place
    arrays: dict[str, Any] = {}
    saved = json.loads(json.dumps(states.save(arrays)))
    expected = {"best", "kept", "pair", "by_name", "seen", "counts", "named"}
    assert set(saved["Remembers 0"]) == expected
    assert set(saved["Remembers 1"]) == {"weights"}

    fresh, second = Remembers(patience=9), Remembers()
    assert CallbackStates([fresh, second]).restore(saved, arrays) == []
    assert fresh.patience == 9, "what was given anew counts"
    assert (float(fresh.best), fresh.pair) == (0.5, (2, "b"))
    assert fresh.by_name == one.by_name
    assert fresh.seen == {1, 3}
    assert fresh.named == Best(4, 0.5)
    assert isinstance(fresh.named, Best)
    assert fresh.counts["b"] == 0
    assert fresh.counts == {"a": 1, "b": 0}
    assert isinstance(fresh.kept, deque)
    assert fresh.kept.maxlen == 2
    assert [row[0].tolist() for row in fresh.kept] == [[1, 1], [2, 2]]
    assert second.weights.tolist() == [1.0, 1.0]
    second.weights += 1.0  # changes nothing of what it came from
    again = Remembers()
    CallbackStates([Remembers(), again]).restore(saved, arrays)
    assert again.weights.tolist() == [1.0, 1.0]


def test_one_that_was_used_before_is_saved_as_a_new_one_is() -> None:
    """It begins with what it had come to, and comes to that again."""
    used, fresh = Remembers(), Remembers()
    used.best = 1
    states = CallbackStates([used])
    used.best = None  # when training begins
    states.note()
    used.best = 1
    CallbackStates([fresh]).restore(states.save({}), {})
    assert fresh.best == 1


def test_what_was_restored_is_saved_again() -> None:
    one, same = Remembers(), Remembers()
    states = CallbackStates([one])
    one.best = 1
    saved = states.save({})
    again = CallbackStates([one])
    again.restore(saved, {})
    CallbackStates([same]).restore(again.save({}), {})
    assert same.best == 1


def test_a_collection_that_cannot_be_saved_is_named_once() -> None:
    callback = Remembers()
    states = CallbackStates([callback])
    callback.by_name["x"] = object()
    with pytest.warns(UserWarning, match="`by_name` of the callback Remembers 0 holds is not"):
        assert states.save({}) == {"Remembers 0": {}}
    states.save({})


def test_one_that_begins_anew() -> None:
    callback = Anew()
    states = CallbackStates([callback])
    callback.best = 1
    assert states.save({}) == {}


def test_those_that_are_gone_are_returned() -> None:
    callback, quiet = Remembers(), keras.callbacks.TerminateOnNaN()
    states = CallbackStates([callback, quiet])
    callback.best = 1
    saved = states.save({})
    assert CallbackStates([]).restore(saved, {}) == ["Remembers 0"]
