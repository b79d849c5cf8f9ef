"""R-Drop as one loss of labels and two passes, for training loops of one's own."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from rdrop_tf._keras import get_mask
from rdrop_tf._typing import Tensor
from rdrop_tf.losses.arithmetic import divide_or_zero
from rdrop_tf.losses.checks import check_alpha, check_choice
from rdrop_tf.losses.heads import Divergence
from rdrop_tf.losses.normalization import NORMALIZATIONS
from rdrop_tf.losses.reduction import REDUCTIONS
from rdrop_tf.losses.resolve import name_if_known, resolve_head, resolve_loss
from rdrop_tf.losses.terms import Terms, rdrop_terms


@keras.saving.register_keras_serializable(package="rdrop_tf")
class RDropLoss(keras.losses.Loss):
    """Task loss of every pass plus a penalty on their divergence.

    Formula, with CE_k the task loss of pass k and D the divergence, both averaged over the
    same examples or valid positions with the same weights (arXiv 2106.14448, Eq. 2-4):

        normalize="passes"   loss = mean_k CE_k + (alpha / 2) D
        normalize="paper"    loss = sum_k  CE_k +  alpha      D

    For two passes the first is exactly half of the second. `alpha` is the paper's in both;
    the default keeps the scale of ordinary training, so learning rates and clipping carry
    over. For an alpha from another code base see `convert_alpha`.

    Computed in float32 (float64 for float64 predictions), also for half-precision ones.
    Predictions of shape (B,) of a binary or regression loss count as (B, 1); Keras averages
    them over the batch at once, where no weight or mask reaches its example.

    Args:
        alpha: Weight of the divergence, >= 0. 0 gives the task loss.
        loss: The task loss: a name, a function or a `keras.losses.Loss`. As in Keras, a
            name means probabilities; for logits pass an object with `from_logits=True`.
            Its reduction is the reduction of both terms.
        divergence: "auto" takes what belongs to the loss: "symmetric_kl" for sparse and
            categorical cross-entropy, "bernoulli_kl" for binary cross-entropy,
            "squared_difference" for squared error and its relatives (mean absolute error,
            Huber, log-cosh). Also "jensen_shannon", "kl_forward", or a function of two
            predictions that returns one value per position.
        normalize: "passes" or "paper".
        name: Name of the loss.

    Raises:
        ValueError: If an argument breaks its rule, with a loss whose divergence is not
            known, fewer than two passes, passes of different shapes, or labels out of range.

    Example:
    >>> import keras
    >>> from rdrop_tf import RDropLoss
    >>> task = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> loss = RDropLoss(alpha=1.0, loss=task)
    >>> first, second = [[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]
    >>> print(round(float(loss([0, 1], (first, second))), 4))
    0.2854
    """

    def __init__(
        self,
        alpha: float = 1.0,
        loss: Any = "sparse_categorical_crossentropy",
        divergence: str | Divergence = "auto",
        normalize: str = "passes",
        name: str = "rdrop_loss",
    ) -> None:
        self.alpha = check_alpha(alpha)
        self.loss = resolve_loss(loss)
        check_choice("reduction", self.loss.reduction, REDUCTIONS)
        check_choice("normalize", normalize, NORMALIZATIONS)
        self.normalize = normalize
        self.divergence = name_if_known(divergence)
        self._head = resolve_head(self.loss, divergence)
        super().__init__(name=name, reduction=self.loss.reduction)

    def __call__(
        self, y_true: Tensor, y_pred: Sequence[Tensor], sample_weight: Tensor | None = None
    ) -> Tensor:
        """Returns the loss of labels and the predictions of two passes or more."""
        terms = self.terms(y_true, y_pred, sample_weight)
        return divide_or_zero(terms.combine(self.alpha, self.normalize), terms.denominator)

    def terms(
        self, y_true: Tensor, passes: Sequence[Tensor], sample_weight: Tensor | None = None
    ) -> Terms:
        """Returns the weighted sums and the denominator that the loss is made of.

        Sums of the pieces of a batch add up to those of the batch; divide at the end.
        """
        if not isinstance(passes, (list, tuple)) or len(passes) < 2:
            raise ValueError(
                "RDropLoss needs the predictions of two passes or more in a tuple, "
                "`loss(y_true, (model(x, training=True), model(x, training=True)))`. "
                f"Received: {_describe(passes)}"
            )
        mask = get_mask(passes[0])
        tensors = [x if _is_tensor(x) else ops.convert_to_tensor(x) for x in passes]
        return rdrop_terms(
            y_true,
            tensors,
            self._head,
            sample_weight=sample_weight,
            mask=mask,
            reduction=str(self.reduction),
        )

    def call(self, y_true: Tensor, y_pred: Sequence[Tensor]) -> Tensor:
        """Returns the same without sample weights."""
        return self(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments in serialised form."""
        divergence = self.divergence
        return {
            "alpha": self.alpha,
            "loss": keras.losses.serialize(self.loss),
            "divergence": divergence
            if isinstance(divergence, str)
            else keras.saving.serialize_keras_object(divergence),
            "normalize": self.normalize,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RDropLoss":
        """Makes the loss from what `get_config` returned."""
        config = dict(config)
        config["loss"] = keras.losses.deserialize(config["loss"])
        if not isinstance(config["divergence"], str):
            config["divergence"] = keras.saving.deserialize_keras_object(config["divergence"])
        return cls(**config)


def _is_tensor(x: Any) -> bool:
    return bool(keras.ops.is_tensor(x))


def _describe(passes: Any) -> str:
    if isinstance(passes, (list, tuple)):
        return f"a {type(passes).__name__} of length {len(passes)}"
    shape = getattr(passes, "shape", None)
    return f"one {type(passes).__name__}" + ("" if shape is None else f" of shape {tuple(shape)}")
