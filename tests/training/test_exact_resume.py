"""A training that was killed and goes on ends as one that was not, bit for bit."""

import errno
import itertools
import json
import os
import signal
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf import RDropModel
from rdrop_tf._preemption import TRY_AGAIN, Preempted
from rdrop_tf.data import ArrayEpochs, EpochData
from rdrop_tf.models import RDropWarning
from rdrop_tf.training import ExactResume
from rdrop_tf.training.checkpoint_store import CheckpointStore
from tests.training import crashes, resumed


class Killed(Exception):  # noqa: N818
    """What stands for the end of the process."""


class RaiseAt(keras.callbacks.Callback):
    """Ends `fit` after a step; further steps are counted over all epochs."""

    def __init__(self, step: int, error: BaseException) -> None:
        super().__init__()
        # A count is no plain value: it is not saved, so the callback can be left out later.
        self._step, self._error, self._count = step, error, itertools.count()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if next(self._count) == self._step:
            raise self._error


def test_compiled_steps(tmp_path: Path) -> None:
    unbroken = resumed.outcome(*resumed.train(tmp_path / "whole", run_eagerly=False))
    with pytest.raises(Killed):
        resumed.train(tmp_path / "killed", RaiseAt(8, Killed()), run_eagerly=False)
    found = resumed.outcome(*resumed.train(tmp_path / "killed", run_eagerly=False))
    assert_equal(found, unbroken)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the whole training, which no test changes."""
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="module")
def whole(ended: Path) -> dict[str, Any]:
    return resumed.outcome(*resumed.train(ended))


def assert_equal(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name, value in wanted.items():
        assert found[name] == value, name


@pytest.mark.one_backend
# The last step of an epoch, the first of the next, and the last of all.
@pytest.mark.parametrize("step", [4, 5, 14])
def test_it_ends_as_if_nothing_had_been(step: int, whole: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Killed):
        resumed.train(tmp_path, RaiseAt(step, Killed()))
    assert_equal(resumed.outcome(*resumed.train(tmp_path)), whole)


@pytest.mark.one_backend
@pytest.mark.parametrize("options", [{"every_steps": 3}, {"every_steps": None}])
def test_steps_after_the_last_checkpoint_are_taken_again(
    options: dict[str, Any], whole: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        resumed.train(tmp_path, RaiseAt(8, Killed()), **options)
    assert_equal(resumed.outcome(*resumed.train(tmp_path, **options)), whole)


@pytest.mark.one_backend
def test_an_ended_training_is_not_trained_again(whole: dict[str, Any], tmp_path: Path) -> None:
    resumed.train(tmp_path)
    assert_equal(resumed.outcome(*resumed.train(tmp_path, RaiseAt(0, Killed()))), whole)


@pytest.mark.one_backend
def test_an_ended_training_asks_for_no_epoch_beyond_its_last(tmp_path: Path) -> None:
    x, y = np.ones((8, 4), "float32"), np.arange(8) % 3
    epochs = [ArrayEpochs((x, y), batch_size=4, seed=seed) for seed in range(2)]

    class Listed(EpochData):
        def batches(self, epoch: int) -> int:
            return epochs[epoch].batches(epoch)

        def rest(self, epoch: int, batch: int = 0) -> Any:
            return epochs[epoch].rest(epoch, batch)

    found = []
    for _ in range(2):
        model = keras.Sequential([keras.layers.Dropout(0.1), keras.layers.Dense(3)])
        model.build((None, 4))
        rdrop = RDropModel(model)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rdrop.compile("sgd", loss, run_eagerly=keras.backend.backend() == "tensorflow")
        fitted = rdrop.fit(Listed(), epochs=2, verbose=0, callbacks=[ExactResume(tmp_path)])
        found.append(fitted.history)
    assert found[0] == found[1]


def test_what_a_callback_has_ended_stays_ended(tmp_path: Path) -> None:
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = True

    first, _ = resumed.train(tmp_path, Stop())
    again, _ = resumed.train(tmp_path, RaiseAt(0, Killed()))
    assert first.history.epoch == again.history.epoch == [0]


@pytest.mark.tensorflow
def test_killed_by_the_system_at_20_random_moments(tmp_path: Path) -> None:
    folder, file = tmp_path / "checkpoints", tmp_path / "outcome.json"
    ends = [
        crashes.run(resumed.train_and_die, folder, seed=seed, run_eagerly=True)
        for seed in range(20)
    ]
    assert ends.count(-signal.SIGKILL) >= 10, ends
    assert set(ends) <= {-signal.SIGKILL, 0}, "killed, or at its end before that"
    assert crashes.run(resumed.train_to_file, folder, file, run_eagerly=True) == 0
    unbroken = tmp_path / "unbroken.json"
    assert crashes.run(resumed.train_to_file, tmp_path / "other", unbroken, run_eagerly=True) == 0
    assert_equal(json.loads(file.read_text()), json.loads(unbroken.read_text()))


@pytest.mark.one_backend
def test_every_example_is_seen_once_an_epoch(tmp_path: Path) -> None:
    seen: dict[int, list[int]] = {}

    class Numbered(EpochData):
        """Batches of row numbers, which note who is read."""

        def batches(self, epoch: int) -> int:
            return 5

        def rest(self, epoch: int, batch: int = 0) -> Any:
            order = np.random.default_rng(epoch).permutation(20).reshape(5, 4)[batch:]
            return _Noted(order, seen.setdefault(epoch, []))

    class _Noted(keras.utils.PyDataset):
        def __init__(self, order: np.ndarray, rows: list[int]) -> None:
            super().__init__()
            self._order, self._rows = order, rows

        def __len__(self) -> int:
            return len(self._order)

        def __getitem__(self, index: int) -> Any:
            return np.tile(self._order[index][:, None], 8).astype("float32"), np.zeros(4)

    trained: list[tuple[int, ...]] = []

    def train(*more: keras.callbacks.Callback) -> None:
        callbacks = [*more, ExactResume(tmp_path, every_steps=1)]
        _recorded(trained).fit(Numbered(), epochs=2, verbose=0, callbacks=callbacks)

    with pytest.raises(Killed):
        train(RaiseAt(7, Killed()))
    train()
    assert len(trained) == 10
    for epoch in (0, 1):
        rows = [row for batch in trained[5 * epoch : 5 * epoch + 5] for row in batch]
        assert sorted(rows) == list(range(20))


def _recorded(trained: list[tuple[int, ...]]) -> RDropModel:
    """A model that notes its batches, each of which it sees in one call."""

    class Recorder(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any, training: bool = False) -> Any:
            if training:
                trained.append(tuple(int(v) for v in keras.ops.convert_to_numpy(x)[:, 0]))
            return self.dense(x)

    keras.utils.set_random_seed(0)
    inner = Recorder()
    inner(np.zeros((1, 8), "float32"))
    rdrop = RDropModel(inner, alpha=0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rdrop.compile("sgd", loss, run_eagerly=True)
    return rdrop


# Preemption


class Terminate(keras.callbacks.Callback):
    """Sends this process what a scheduler sends before it takes the machine away."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch == 2:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.one_backend
def test_on_sigterm_it_saves_and_ends_with_75(whole: dict[str, Any], tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        resumed.train(tmp_path, Terminate(), every_steps=None)
    assert ended.value.code == TRY_AGAIN == 75
    assert isinstance(ended.value, Preempted)
    assert signal.getsignal(signal.SIGTERM) is handler
    newest = CheckpointStore(tmp_path).newest()
    assert newest is not None
    assert newest.facts["place"] == [0, 3]
    assert_equal(resumed.outcome(*resumed.train(tmp_path, every_steps=None)), whole)


# What goes wrong


@pytest.mark.one_backend
def test_a_full_disk_is_said_and_training_goes_on(
    whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = CheckpointStore.write

    def full_at_5(store: CheckpointStore, checkpoint: Any) -> Path:
        if checkpoint.step == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(store, checkpoint)

    monkeypatch.setattr(CheckpointStore, "write", full_at_5)
    with pytest.warns(UserWarning, match=r"step 5 was not saved: .*No space left .*goes on"):
        rdrop, used = resumed.train(tmp_path)
    assert_equal(resumed.outcome(rdrop, used), whole)


@pytest.mark.one_backend
def test_a_broken_checkpoint_costs_a_step_and_a_warning(
    whole: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        resumed.train(tmp_path, RaiseAt(8, Killed()))
    newest = CheckpointStore(tmp_path).paths()[0]
    newest.write_bytes(newest.read_bytes()[:5000])
    with pytest.warns(UserWarning, match=r"step 7 used instead; step-0000000008-.*cut short"):
        rdrop, used = resumed.train(tmp_path)
    assert_equal(resumed.outcome(rdrop, used), whole)


def goes_on(folder: Path, rdrop: RDropModel, data: Any = None, **options: Any) -> None:
    """Calls the `fit` that goes on with a whole training, without its callbacks."""
    resume = ExactResume(folder, seed=options.pop("seed", 3))
    settings = {"batch_size": 4, "epochs": 3, "verbose": 0, "callbacks": [resume], **options}
    rdrop.fit(*(data or resumed.data()), **settings)


@pytest.mark.one_backend
def test_another_model_is_refused(whole: dict[str, Any], ended: Path) -> None:
    other = resumed.compiled(width=15)
    with pytest.raises(
        ValueError, match=r"be used: step-.*same model.*\(8, 16\).*where .*\(8, 15\)"
    ):
        goes_on(ended, other)


@pytest.mark.one_backend
def test_a_checkpoint_of_another_model_is_passed_over(
    whole: dict[str, Any], ended: Path, tmp_path: Path
) -> None:
    goes_on(tmp_path, resumed.compiled(width=15, run_eagerly=True), epochs=1)
    foreign = CheckpointStore(ended).paths()[0]
    (tmp_path / foreign.name).write_bytes(foreign.read_bytes())
    with pytest.warns(UserWarning, match=rf"step 5 used instead; {foreign.name}: .*same model"):
        goes_on(tmp_path, resumed.compiled(width=15, run_eagerly=True), epochs=3)
    kept = [path.name[:15] for path in CheckpointStore(tmp_path).paths()]
    assert kept == ["step-0000000015", "step-0000000015", "step-0000000010"]


def _other_values() -> Any:
    x, y = resumed.data()
    x[-1] += 1.0
    return x, y


OTHER_DATA: dict[str, tuple[dict[str, Any], str]] = {
    "seed": ({"seed": 4}, "seed=4, which was 3"),
    "shuffle": ({"shuffle": False}, "shuffle=False, which was True"),
    "size": ({"batch_size": 3}, "batch_size=3, which was 4"),
    "rows": ({"data": resumed.data(17)}, "rows=17, which was 18"),
    "values": ({"data": _other_values()}, "other values in the rows"),
    "weights": ({"class_weight": {0: 1, 1: 2, 2: 3}}, r"class_weight=.*'1': 2.0.*which was None"),
}


@pytest.mark.one_backend
@pytest.mark.parametrize("name", OTHER_DATA)
def test_other_data_are_refused(name: str, whole: dict[str, Any], ended: Path) -> None:
    options, text = OTHER_DATA[name]
    with pytest.raises(ValueError, match=rf"in the same batches. Received: {text}\. Start anew"):
        goes_on(ended, resumed.compiled(), **options)


@pytest.mark.one_backend
def test_data_of_ones_own_are_told_by_their_number(tmp_path: Path) -> None:
    class Own(EpochData):
        """Says nothing of itself."""

        def __init__(self, batches: int) -> None:
            self._batches = batches

        def batches(self, epoch: int) -> int:
            return self._batches

        def rest(self, epoch: int, batch: int = 0) -> Any:
            rows = ArrayEpochs(resumed.data(4 * self._batches), 4)
            return rows.rest(epoch, batch)

    goes_on(tmp_path, resumed.compiled(run_eagerly=True), (Own(2),), epochs=1, batch_size=None)
    with pytest.raises(ValueError, match="Received: 3 batches in epoch 1, which had 2"):
        goes_on(tmp_path, resumed.compiled(), (Own(3),), batch_size=None)


@pytest.mark.one_backend
def test_settings_that_are_not_used_are_said(whole: dict[str, Any], ended: Path) -> None:
    rdrop = resumed.compiled()
    rdrop.alpha = 5.0
    rdrop.optimizer.learning_rate = 0.5
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        goes_on(ended, rdrop)
    texts = [str(warning.message) for warning in said]
    assert any("alpha=5 is not used: training goes on with the" in text for text in texts)
    assert any("learning_rate=0.5 is not used" in text for text in texts)
    assert (rdrop.alpha, float(rdrop.optimizer.learning_rate)) != (5.0, 0.5)


@pytest.mark.one_backend
def test_infinities_that_were_there_before_are_saved(tmp_path: Path) -> None:
    """A mask of -inf in the model; a weight that becomes NaN is refused."""

    class Masked(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            start = keras.initializers.Constant(float("-inf"))
            self.mask = self.add_weight(shape=(8,), initializer=start, trainable=False)

        def call(self, x: Any) -> Any:
            return keras.ops.where(self.mask < 0, x, 0.0)

    def train(**options: Any) -> None:
        keras.utils.set_random_seed(0)
        layers = [keras.Input((8,)), Masked(), keras.layers.Dropout(0.2), keras.layers.Dense(3)]
        rdrop = RDropModel(keras.Sequential(layers))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rdrop.compile("sgd", loss, run_eagerly=True)
        goes_on(tmp_path, rdrop, **options)

    train(epochs=1)
    train(epochs=2)
    assert CheckpointStore(tmp_path).paths()[0].name.startswith("step-0000000010")
    x, y = resumed.data()
    x[5] = np.nan
    rdrop = resumed.compiled(run_eagerly=True)
    with pytest.raises(FloatingPointError, match=r"finite numbers. Received: .*kernel' with 128"):
        goes_on(tmp_path / "nan", rdrop, (x, y))


@pytest.mark.one_backend
def test_a_callback_that_is_gone_is_named(whole: dict[str, Any], ended: Path) -> None:
    with pytest.warns(UserWarning, match=r"not there any more: Alpha.* 0, AverageWeights 0,"):
        goes_on(ended, resumed.compiled())


@pytest.mark.one_backend
@pytest.mark.parametrize("option", ["every_steps", "every_minutes"])
def test_numbers_below_their_least(option: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"`{option}` must be above 0, or None. Received: .*=0"):
        ExactResume(tmp_path, **{option: 0})


@pytest.mark.one_backend
def test_two_of_them_are_refused(tmp_path: Path) -> None:
    both = [ExactResume(tmp_path / "a"), ExactResume(tmp_path / "b")]
    with pytest.raises(ValueError, match="one place to go on from"):
        resumed.compiled().fit(*resumed.data(), verbose=0, callbacks=both)


@pytest.mark.one_backend
@pytest.mark.parametrize("options", [{"validation_split": 0.2}, {"steps_per_epoch": 2}])
def test_options_that_leave_no_place_in_the_data(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"`{next(iter(options))}` cannot be used where training"):
        resumed.compiled().fit(*resumed.data(), callbacks=[ExactResume(tmp_path)], **options)


@pytest.mark.one_backend
def test_initial_epoch_counts_where_nothing_was_saved(tmp_path: Path) -> None:
    for _ in range(2):  # the second time there is a place to go on from
        rdrop = resumed.compiled(run_eagerly=True)
        rdrop.fit(
            *resumed.data(), epochs=3, initial_epoch=2, verbose=0, callbacks=[ExactResume(tmp_path)]
        )
        assert rdrop.history.epoch == [2]


@pytest.mark.one_backend
def test_a_fit_of_keras_is_refused(tmp_path: Path) -> None:
    model = resumed.model()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"that of RDropModel. Received: the `fit` of Sequential"):
        model.fit(*resumed.data(), verbose=0, callbacks=[ExactResume(tmp_path)])


@pytest.mark.one_backend
def test_a_callback_list_with_it_is_refused(tmp_path: Path) -> None:
    both = keras.callbacks.CallbackList([ExactResume(tmp_path)])
    with pytest.raises(ValueError, match="pass `callbacks` as a list"):
        resumed.compiled().fit(*resumed.data(), verbose=0, callbacks=both)


@pytest.mark.one_backend
def test_a_callback_that_was_used_before_is_saved_whole(tmp_path: Path) -> None:
    """It comes to the very value that it was found with."""

    class Counts(keras.callbacks.Callback):
        waited = 0

        def on_train_begin(self, logs: Any = None) -> None:
            self.waited = 0

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.waited += 1

    used, fresh = Counts(), Counts()
    used.waited = 1
    for callback in (used, fresh):
        resume = ExactResume(tmp_path, seed=3)
        rdrop = resumed.compiled(run_eagerly=True)
        goes_on(tmp_path, rdrop, epochs=1, callbacks=[callback, resume])
    assert fresh.waited == 1


@pytest.mark.tensorflow
@pytest.mark.parametrize("eagerly", [True, False])
def test_noise_that_cannot_be_saved_is_named(eagerly: bool, tmp_path: Path) -> None:
    import tensorflow as tf

    class Raw(keras.layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            return tf.nn.dropout(x, 0.3) if training else x

    class OfGenerator(keras.layers.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.generator = tf.random.Generator.from_seed(1)

        def call(self, x: Any, training: bool = False) -> Any:
            return x + self.generator.normal(tf.shape(x)) if training else x

    layers = [keras.Input((8,)), Raw(name="raw"), OfGenerator(name="of_one")]
    layers += [keras.layers.Dropout(0.1, name="saved"), keras.layers.Dense(3)]
    rdrop = RDropModel(keras.Sequential(layers))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rdrop.compile("sgd", loss, run_eagerly=eagerly)
    with pytest.warns(RDropWarning, match="cannot be saved: 'of_one', 'raw' draws by operations"):
        goes_on(tmp_path, rdrop)
