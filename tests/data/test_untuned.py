"""Pipelines without the thread that tunes them, which TensorFlow waits for."""

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf import RDropModel
from rdrop_tf.data import ArrayEpochs, DatasetEpochs, EpochData, untuned
from rdrop_tf.models import workers
from rdrop_tf.models.workers import batches_of_epoch, validation_by_epoch
from rdrop_tf.tasks.parts import Examples, predictions

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

X, Y = np.arange(10.0, dtype="float32").reshape(5, 2), np.arange(5) % 3


def _rows() -> Any:
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(2)


def _content(dataset: Any) -> list[Any]:
    return [np.asarray(leaf).tolist() for batch in dataset for leaf in batch]


def test_the_rows_and_other_options_stay() -> None:
    options = tf.data.Options()
    options.deterministic = False
    made = untuned(_rows().with_options(options))
    assert made.options().autotune.enabled is False
    assert made.options().deterministic is False
    assert _content(made) == _content(_rows())


def test_what_its_maker_says_stays() -> None:
    options = tf.data.Options()
    options.autotune.enabled = True
    assert untuned(_rows().with_options(options)).options().autotune.enabled is True


def test_a_budget_that_its_maker_sets_stays() -> None:
    options = tf.data.Options()
    options.autotune.cpu_budget = 1
    assert untuned(_rows().with_options(options)).options().autotune.enabled is None


def test_what_is_no_pipeline_stays() -> None:
    assert untuned(X) is X


@pytest.mark.parametrize(
    "data",
    [DatasetEpochs(_rows()), ArrayEpochs((X, Y), 2, shuffle=False)],
    ids=["data set", "arrays"],
)
def test_the_epochs_of_a_training_are_not_tuned(data: EpochData) -> None:
    rdrop = RDropModel(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]))
    made = batches_of_epoch(rdrop, data, epoch=0, batch=1)
    assert made.options().autotune.enabled is False
    assert int(made.cardinality()) == 2
    assert _content(made) == _content(_rows())[2:]


def test_validation_is_not_tuned_either() -> None:
    rdrop = RDropModel(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]))
    for data in ((X, Y), (X, Y, np.ones(5)), _rows()):
        made = validation_by_epoch(rdrop, data, 2)
        assert made.options().autotune.enabled is False
        assert [len(batch[1]) for batch in made] == [2, 2, 1]
    generator = (batch for batch in [(X, Y)])
    assert validation_by_epoch(rdrop, generator, 2) is generator


def test_class_weights_are_those_of_arrays_where_some_classes_have_none() -> None:
    losses = []
    for data in ((X, Y), (ArrayEpochs((X, Y), 2, shuffle=False),)):
        keras.utils.set_random_seed(0)
        rdrop = RDropModel(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]), alpha=0.0)
        rdrop.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        options = {"class_weight": {0: 3.0}, "validation_data": (X, Y), "shuffle": False}
        history = rdrop.fit(*data, batch_size=2 if len(data) == 2 else None, verbose=0, **options)
        losses.append([history.history[name] for name in ("loss", "val_loss")])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)


class Counted(keras.utils.PyDataset):
    """Knows its length by the property alone."""

    num_batches = 3

    def __getitem__(self, index: int) -> Any:
        return X[index : index + 1], Y[index : index + 1]


def test_a_pydataset_with_its_number_of_batches_alone() -> None:
    rdrop = RDropModel(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]))
    made = batches_of_epoch(rdrop, _Epochs(Counted()), epoch=0, batch=0)
    assert made.options().autotune.enabled is False
    assert int(made.cardinality()) == 3
    assert len(list(made)) == 3


class _Epochs(EpochData):
    def __init__(self, made: Any) -> None:
        self.made = made

    def batches(self, epoch: int) -> int:
        return 1

    def rest(self, epoch: int, batch: int = 0) -> Any:
        return self.made


def test_a_pydataset_with_hooks_or_workers_is_left_to_keras() -> None:
    class Hooked(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> Any:
            return X, Y

        def on_epoch_end(self) -> None:
            pass

    rdrop = RDropModel(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]))
    rows = ArrayEpochs((X, Y), 5).rest(0)
    rows.workers = 2
    for made in (Hooked(), rows):
        assert batches_of_epoch(rdrop, _Epochs(made), epoch=0, batch=0) is made


@pytest.fixture
def tuned(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What every data set that is iterated says of tuning."""
    seen: list[Any] = []
    iterate = tf.data.Dataset.__iter__

    def noted(self: Any) -> Any:
        seen.append(self.options().autotune.enabled)
        return iterate(self)

    monkeypatch.setattr(tf.data.Dataset, "__iter__", noted)
    return seen


def test_nothing_that_a_training_by_epochs_reads_is_tuned(tuned: list[Any]) -> None:
    rdrop = RDropModel(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]), alpha=0.0)
    rdrop.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rdrop.fit(ArrayEpochs((X, Y), 2), epochs=2, validation_data=(X, Y), verbose=0)
    assert len(tuned) >= 4, "training and validation of two epochs"
    assert set(tuned) == {False}


def test_predictions_of_a_part_are_not_tuned(tuned: list[Any]) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    y, predicted = predictions(model, Examples(X, Y), 2)
    assert (y.shape, predicted.shape) == ((5,), (5, 3))
    assert set(tuned) == {False}


def test_rows_that_all_workers_read_are_not_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "worker_count", lambda model: 2)
    model: Any = SimpleNamespace(_distribute_strategy=SimpleNamespace(num_replicas_in_sync=2))
    made = batches_of_epoch(model, ArrayEpochs((X, Y), 2, shuffle=False), epoch=0, batch=0)
    assert made.options().autotune.enabled is False
    policy = tf.data.experimental.AutoShardPolicy.DATA
    assert made.options().experimental_distribute.auto_shard_policy == policy
    assert _content(made) == _content(_rows())
