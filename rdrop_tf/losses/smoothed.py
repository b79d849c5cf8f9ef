"""Label smoothing of integer labels; Keras has it for one-hot labels alone."""

from typing import Any

import keras
from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.cross_entropy import smoothed_sparse_cross_entropy
from rdrop_tf.losses.labels import valid_labels
from rdrop_tf.losses.log_probabilities import log_probabilities


@keras.saving.register_keras_serializable(package="rdrop_tf")
class SmoothedSparseCategoricalCrossentropy(keras.losses.SparseCategoricalCrossentropy):
    """Cross-entropy with label smoothing, of integer labels.

    Formula, with classes V, label y and smoothing ε:

        -(1-ε) log p[y] - ε/V Σ_v log p[v]

    the value of `keras.losses.CategoricalCrossentropy(label_smoothing=ε)` on one-hot labels, of
    which a vocabulary would need gigabytes (arXiv 1512.00567; fairseq's ε differs by the factor
    V/(V-1) in the first sum). In `RDropModel` with a `VocabularyHead` no logits of the whole batch
    are made. A label that is no class gives NaN.

    Args:
        from_logits: Whether predictions are logits or probabilities.
        label_smoothing: ε, from 0 to below 1.
        ignore_class: A label whose places do not count, or None.
        reduction: A Keras reduction; "mean_with_sample_weight" divides by the sum of the weights.
        name: Its name.

    Call arguments:
        y_true: Integer classes, shape (...).
        y_pred: Predictions, shape (..., classes).

    Raises:
        ValueError: If `label_smoothing` is out of range.

    Example:
    >>> from rdrop_tf.losses import SmoothedSparseCategoricalCrossentropy
    >>> loss = SmoothedSparseCategoricalCrossentropy(from_logits=True, label_smoothing=0.5)
    >>> f"{float(loss([0], [[0.0, 0.0]])):.4f}"
    '0.6931'
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        ignore_class: int | None = None,
        reduction: str = "sum_over_batch_size",
        name: str = "smoothed_sparse_categorical_crossentropy",
    ) -> None:
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                "label_smoothing is a share of each label, from 0 to below 1. Received: "
                f"label_smoothing={label_smoothing!r}"
            )
        super().__init__(
            from_logits=from_logits, ignore_class=ignore_class, reduction=reduction, name=name
        )
        self.from_logits, self.ignore_class = from_logits, ignore_class
        self.label_smoothing = label_smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns the loss of each position."""
        log_p = log_probabilities(ops.convert_to_tensor(y_pred), self.from_logits)
        labels = ops.cast(ops.convert_to_tensor(y_true), "int32")
        if len(labels.shape) == len(log_p.shape) and labels.shape[-1] == 1:
            labels = ops.squeeze(labels, axis=-1)
        valid = valid_labels(labels, ops.shape(log_p)[-1])
        if self.ignore_class is None:
            return smoothed_sparse_cross_entropy(labels, log_p, valid, self.label_smoothing)
        counts = ops.not_equal(labels, self.ignore_class)
        values = smoothed_sparse_cross_entropy(
            ops.where(counts, labels, ops.zeros_like(labels)),
            log_p,
            ops.logical_or(valid, ops.logical_not(counts)),
            self.label_smoothing,
        )
        values = ops.where(counts, values, ops.zeros_like(values))
        keras.src.backend.set_keras_mask(values, counts)
        return values

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "ignore_class": self.ignore_class,
            "reduction": self.reduction,
            "name": self.name,
        }
