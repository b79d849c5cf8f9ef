from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf.tasks.best_weights import BestWeights


class _Scripted(keras.callbacks.Callback):
    """Puts a figure into the logs of each epoch and notes the weights."""

    def __init__(self, figures: list[float | None]) -> None:
        super().__init__()
        self.figures = figures
        self.weights: list[list[Any]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        if self.figures[epoch] is not None:
            logs["figure"] = self.figures[epoch]
        self.weights.append(self.model.get_weights())


@pytest.mark.parametrize(
    ("higher_is_better", "figures", "best_epoch"),
    [
        (True, [0.1, 0.5, 0.3], 2),
        (False, [0.1, 0.5, 0.3], 1),
        (True, [0.1, 0.5, 0.5], 2),
        (True, [0.5, 0.1, 0.2], 1),
        (True, [0.1, 0.2, 0.3], 3),
        (True, [None, 0.2, None], 2),
    ],
)
def test_the_best_epoch_comes_back(
    higher_is_better: bool, figures: list[float | None], best_epoch: int
) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    script, best = _Scripted(figures), BestWeights("figure", higher_is_better)
    model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, verbose=0, callbacks=[script, best])
    assert (best.epoch, best.value) == (best_epoch, figures[best_epoch - 1])
    best.restore()
    for one, other in zip(model.get_weights(), script.weights[best_epoch - 1], strict=True):
        np.testing.assert_array_equal(one, other)
    # The optimizer's state belongs to the weights: one step an epoch.
    assert int(model.optimizer.iterations) == best_epoch


def test_a_figure_that_never_came_is_named() -> None:
    with pytest.raises(ValueError, match="needs the log 'val_f1'; no epoch had it: give"):
        BestWeights("val_f1", higher_is_better=True).restore()
