import keras
import numpy as np
import pytest
from keras import layers

from rdrop_tf.training import AverageWeights


def _fitted(average: AverageWeights, epochs: int) -> tuple[keras.Model, list[list[np.ndarray]]]:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2), layers.BatchNormalization(), layers.Dropout(0.5)]
    )
    model.compile("sgd", "mse")
    seen: list[list[np.ndarray]] = []

    class Seen(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            if keras.backend.backend() == "jax":
                self.model.jax_state_sync()
            seen.append([np.array(w) for w in self.model.get_weights()])

    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    model.fit(x, x[:, :2], epochs=epochs, verbose=0, callbacks=[average, Seen()])
    return model, seen


@pytest.mark.parametrize(("epochs", "asked", "averaged"), [(4, 3, 3), (2, 3, 2), (3, 1, 1)])
def test_the_mean_of_the_last_epochs(epochs: int, asked: int, averaged: int) -> None:
    average = AverageWeights(asked)
    model, seen = _fitted(average, epochs)
    assert average.assign() == averaged
    for place, found in enumerate(model.get_weights()):
        last = [weights[place] for weights in seen[-averaged:]]
        if "float" not in str(found.dtype):  # the state of the dropout's generator
            np.testing.assert_array_equal(found, last[-1])
            continue
        np.testing.assert_allclose(found, np.mean(last, axis=0), rtol=1e-6, atol=1e-7)
    if averaged > 1:
        assert np.abs(model.get_weights()[0] - seen[-1][0]).max() > 1e-5


def test_bad_use() -> None:
    with pytest.raises(ValueError, match="over 1 or more epochs; got epochs=0"):
        AverageWeights(0)
    with pytest.raises(ValueError, match="none has: fit"):
        AverageWeights(2).assign()
