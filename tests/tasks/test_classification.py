from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from rdrop_tf.recipes import DIGITS
from rdrop_tf.tasks.classification import Classification
from rdrop_tf.tasks.parts import Splits


class _Named(Classification):
    """The least that a task of classes has to bring."""

    def splits(self) -> Splits:
        raise NotImplementedError

    def model(self) -> keras.Model:
        raise NotImplementedError

    def read_line(self, line: str) -> Any:
        return line


TASK = _Named(DIGITS)
LOGITS = np.array([[2.0, 0.0, -1.0], [0.0, 3.0, 0.5], [0.1, 0.2, 0.0], [-4.0, 1.0, 1.5]])
CLASSES = np.array([0, 1, 0, 2])


def test_figures_are_those_of_all_predictions() -> None:
    figures = TASK.figures(CLASSES, LOGITS)
    nll = -log_softmax(LOGITS, axis=1)[np.arange(4), CLASSES].mean()
    assert figures == {"accuracy": 0.75, "loss": pytest.approx(nll, abs=1e-12)}
    assert TASK.metric.name in figures


def test_the_loss_that_trains_is_the_loss_that_is_reported() -> None:
    loss = float(TASK.loss()(CLASSES, LOGITS.astype("float32")))
    assert loss == pytest.approx(TASK.figures(CLASSES, LOGITS)["loss"], rel=1e-6)


def test_the_divergence_is_the_papers() -> None:
    other = LOGITS[::-1].copy()
    p, q = softmax(LOGITS, axis=1), softmax(other, axis=1)
    expected = 0.5 * ((p - q) * (np.log(p) - np.log(q))).sum(axis=1)
    found = keras.ops.convert_to_numpy(
        TASK.divergence(LOGITS.astype("float32"), other.astype("float32"))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_lines_are_numbers_or_names() -> None:
    assert TASK.write_lines(LOGITS) == ["0", "1", "1", "2"]
    named = _Named(DIGITS)
    named.class_names = ["cat", "dog", "fox"]
    assert named.write_lines(LOGITS) == ["cat", "dog", "dog", "fox"]
