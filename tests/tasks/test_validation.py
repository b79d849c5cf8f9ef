from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray
from scipy.stats import pearsonr

from rdrop_tf.recipes import DIGITS
from rdrop_tf.tasks.classification import Classification
from rdrop_tf.tasks.parts import Examples, Splits
from rdrop_tf.tasks.validation import Validation, as_logs, evaluate_part

RNG = np.random.default_rng(0)
PART = Examples(RNG.normal(size=(37, 3)).astype("float32"), RNG.normal(size=37))


class _Correlation(Classification):
    """A task whose figure is none of means over batches."""

    evaluation_batch = 5

    def splits(self) -> Splits:
        return Splits(PART, PART, PART)

    def model(self) -> keras.Model:
        return keras.Sequential([keras.Input((3,)), layers.Dropout(0.5), layers.Dense(1)])

    def figures(self, y: NDArray[Any], predictions: NDArray[Any]) -> Mapping[str, float]:
        return {"pearson": float(pearsonr(y, predictions[:, 0]).statistic)}

    def read_line(self, line: str) -> Any:
        return line


TASK = _Correlation(DIGITS)


def _expected(model: keras.Model) -> float:
    kernel, bias = model.get_weights()
    return float(pearsonr(PART.y, (PART.x @ kernel + bias)[:, 0]).statistic)


def test_a_part_is_evaluated_as_a_whole_and_without_noise() -> None:
    model = TASK.model()
    figures = evaluate_part(model, TASK, PART)
    assert figures == {"pearson": pytest.approx(_expected(model), rel=1e-5)}
    assert evaluate_part(model, TASK, PART) == figures


@pytest.mark.parametrize(
    ("every", "epochs", "validated"),
    [(1, 3, [1, 2, 3]), (2, 5, [2, 4, 5]), (9, 2, [2]), (2, 4, [2, 4])],
)
def test_every_so_many_epochs_and_the_last(every: int, epochs: int, validated: list[int]) -> None:
    model = TASK.model()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    seen: dict[int, tuple[float, float]] = {}

    class See(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            if logs and "val_pearson" in logs:
                seen[epoch + 1] = (logs["val_pearson"], _expected(self.model))

    callbacks = [Validation(TASK, PART, every), See()]
    model.fit(*PART, epochs=epochs, batch_size=10, verbose=0, callbacks=callbacks)
    assert list(seen) == validated
    for found, expected in seen.values():
        assert found == pytest.approx(expected, rel=1e-5)


def test_logs_are_named_as_keras_names_them() -> None:
    assert as_logs({"accuracy": 0.5, "loss": 2.0}) == {"val_accuracy": 0.5, "val_loss": 2.0}
