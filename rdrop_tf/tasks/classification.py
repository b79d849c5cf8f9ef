"""What all tasks share that choose one of several classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from numpy.typing import NDArray

from rdrop_tf._typing import Tensor
from rdrop_tf.losses import symmetric_kl
from rdrop_tf.metrics import negative_log_likelihood, top_k_accuracy
from rdrop_tf.tasks.task import ACCURACY, Metric, Task


class Classification(Task):
    """A task whose model gives logits of classes, and whose targets are class numbers."""

    class_names: Sequence[str] | None = None

    @property
    def metric(self) -> Metric:
        """The share of examples whose most probable class is the right one."""
        return ACCURACY

    def loss(self) -> keras.losses.Loss:
        """Returns the cross-entropy of logits."""
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def divergence(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the paper's divergence of two passes' logits."""
        return symmetric_kl(first, second)

    def figures(self, y: NDArray[Any], predictions: NDArray[Any]) -> Mapping[str, float]:
        """Works out the accuracy and the mean negative log-likelihood."""
        return {
            "accuracy": top_k_accuracy(y, predictions, k=1),
            "loss": negative_log_likelihood(y, predictions),
        }

    def write_lines(self, predictions: NDArray[Any]) -> Sequence[str]:
        """Writes the most probable class of each input: its name where there are names."""
        chosen = predictions.argmax(axis=-1)
        if self.class_names is None:
            return [str(number) for number in chosen]
        return [self.class_names[number] for number in chosen]
