"""Training one epoch at a time is the training of Keras' own `fit`."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from rdrop_tf import RDropModel
from rdrop_tf.data import ArrayEpochs
from tests.models import zoo

EPOCHS = 3


class Told(keras.callbacks.Callback):
    """Notes what it hears of."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.heard.append("begin")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.heard.append(epoch)

    def on_train_end(self, logs: Any = None) -> None:
        self.heard.append("end")


def averaging() -> RDropModel:
    """A model whose optimizer puts averages in place of the weights, at the end of a training."""
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((8,)), layers.Dense(16, "relu"), layers.BatchNormalization()]
    model = keras.Sequential([*inputs, layers.Dropout(0.3), layers.Dense(zoo.CLASSES)])
    rdrop = RDropModel(model, alpha=2.0)
    optimizer = keras.optimizers.AdamW(1e-2, use_ema=True, ema_momentum=0.5)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rdrop.compile(optimizer, loss, metrics=["accuracy"])
    return rdrop


def fit(data: Any, *labels: Any, **options: Any) -> tuple[RDropModel, Told]:
    rdrop, told = averaging(), Told()
    settings = {"epochs": EPOCHS, "validation_data": zoo.features(), "callbacks": [told]}
    rdrop.fit(data, *labels, verbose=0, **{**settings, **options})
    return rdrop, told


def by_epochs(batch_size: int = 5) -> ArrayEpochs:
    return ArrayEpochs(zoo.features(), batch_size, shuffle=False)


def test_it_is_the_training_of_one_fit() -> None:
    # The same batches, of which every epoch has the same.
    whole, heard = fit(by_epochs().rest(0), shuffle=False)
    parts, told = fit(by_epochs())
    for one, same in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)
    assert parts.history.history == whole.history.history
    assert parts.history.epoch == whole.history.epoch == list(range(EPOCHS))
    assert told.heard == heard.heard == ["begin", 0, 1, 2, "end"]


@pytest.mark.one_backend
def test_the_bar_of_an_epoch_is_as_long_as_that_epoch() -> None:
    class Growing(ArrayEpochs):
        """One batch more in every epoch."""

        def rest(self, epoch: int, batch: int = 0) -> Any:
            return super().rest(0, 3 - epoch)

        def batches(self, epoch: int) -> int:
            return 1 + epoch

    class Lengths(Told):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.heard.append(self.params["steps"])

    rdrop, lengths = averaging(), Lengths()
    rdrop.run_eagerly = True
    data = Growing(zoo.features(), len(zoo.features()[0]) // 4)
    rdrop.fit(data, epochs=EPOCHS, verbose=0, callbacks=[lengths])
    assert lengths.heard == ["begin", 1, 0, 2, 1, 3, 2, "end"]


@pytest.mark.one_backend
def test_it_begins_where_it_is_told_and_stops_where_a_callback_says() -> None:
    class Stop(Told):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            super().on_epoch_end(epoch, logs)
            self.model.stop_training = epoch == 3

    stop = Stop()
    rdrop, _ = fit(by_epochs(), initial_epoch=2, epochs=9, callbacks=[stop])
    assert stop.heard == ["begin", 2, 3, "end"]
    assert rdrop.history.epoch == [2, 3]


@pytest.mark.one_backend
def test_a_callback_list_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pass `callbacks` as a list. Received: a CallbackList"):
        fit(by_epochs(), callbacks=keras.callbacks.CallbackList([Told()]))


@pytest.mark.one_backend
def test_an_ordinary_fit_takes_a_callback_list() -> None:
    rdrop, told = averaging(), Told()
    both = keras.callbacks.CallbackList([told], add_history=True, model=rdrop, epochs=1)
    rdrop.fit(*zoo.features(), verbose=0, callbacks=both)
    assert told.heard == ["begin", 0, "end"]
