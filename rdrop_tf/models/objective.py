"""The compiled loss with several passes in view.

Keras' compiled loss matches losses to outputs, weighs them and keeps a metric for each. It
is left to do all that: each output's loss is replaced by an `OutputLoss`, which is the
user's loss in evaluation, and R-Drop's while a `PassesInView` is open.
"""

import threading
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops, tree

from rdrop_tf._keras import CompileLoss, get_mask, mask_to
from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.layers.kept_hidden import kept_hidden
from rdrop_tf.losses.heads import CLASS_DIVERGENCES, Divergence, Head, PlainHead, SoftmaxHead
from rdrop_tf.losses.linear_head import LinearHead, linear_head_terms
from rdrop_tf.losses.normalization import factors
from rdrop_tf.losses.projection import Projection
from rdrop_tf.losses.reduction import REDUCTIONS
from rdrop_tf.losses.resolve import resolve_head, resolve_loss
from rdrop_tf.losses.squared_difference import squared_difference
from rdrop_tf.losses.terms import Terms, rdrop_terms
from rdrop_tf.models.alpha import Alpha
from rdrop_tf.models.deferred_head import DeferredHead
from rdrop_tf.models.replicas import Replicas


class PassesInView:
    """One training step's predictions, and what the losses of its outputs add up to.

    Attributes:
        task: Mean task loss of the passes, all outputs, with loss weights.
        divergence: The same of the divergence; None if no output has one.
        bad_labels: Number of labels that are no class, None where none can be.
    """

    def __init__(
        self,
        passes: list[Nested],
        *,
        alpha: Alpha,
        step: Tensor,
        normalize: str,
        replicas: Replicas,
        heads: Mapping[int, DeferredHead] | None = None,
    ) -> None:
        self._alpha, self._step = alpha, step
        self._normalize, self._replicas = normalize, replicas
        leaves = [tree.flatten(one) for one in passes]
        # Keras hands a loss the very tensor of the first pass; its identity leads to the
        # same output of the other passes. The list keeps the tensors, and so the ids, alive.
        self._by_first = {id(same[0]): list(same) for same in zip(*leaves, strict=True)}
        self._heads = {id(leaves[0][i]): head for i, head in (heads or {}).items()}
        self.task: Tensor | None = None
        self.divergence: Tensor | None = None
        self.bad_labels: Tensor | None = None

    def loss(
        self, output: "OutputLoss", y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None
    ) -> Tensor:
        """Computes one output's share of the loss on this replica.

        The shares of all replicas add up to the loss of the global batch: local sums over
        a denominator that counts all replicas.
        """
        passes = self._by_first[id(y_pred)]
        found = self._before_head(passes)
        if found is not None:
            head, hidden = found
            linear = output.linear_head(head.projection)
            if linear is not None:
                mask = get_mask(passes[0]) if head.keeps_mask else None
                return self._loss_of_hidden(output, linear, hidden, y_true, sample_weight, mask)
            if id(y_pred) in self._heads:
                passes = [head.logits(x) for x in passes]
        if self._alpha.is_zero_for(output.output_name):
            terms = _task_only([output.terms(y_true, [x], sample_weight) for x in passes])
            alpha: Tensor = 0.0
        else:
            terms = output.terms(y_true, passes, sample_weight)
            alpha = self._alpha.value(output.output_name, self._step)
        denominator = self._replicas.sum(terms.denominator)
        self._log(terms, denominator, output.loss_weight)
        return ops.divide_no_nan(terms.combine(alpha, self._normalize), denominator)

    def _before_head(self, passes: list[Tensor]) -> tuple[DeferredHead, list[Tensor]] | None:
        """Returns an output's head and the hidden states of each pass; None if it has no head."""
        head = self._heads.get(id(passes[0]))
        if head is not None:
            return head, [head.cast(x) for x in passes]
        kept = [one for one in map(kept_hidden, passes) if one is not None]
        if len(kept) < len(passes):
            return None
        return DeferredHead(kept[0].head.projection()), [one.hidden for one in kept]

    def _loss_of_hidden(
        self,
        output: "OutputLoss",
        linear: LinearHead,
        passes: list[Tensor],
        y_true: Tensor,
        sample_weight: Tensor | None,
        mask: Tensor | None,
    ) -> Tensor:
        """Computes the same from hidden states, whose logits are never all made."""
        alpha = self._alpha.value(output.output_name, self._step)
        task_factor, divergence_factor = factors(alpha, self._normalize, len(passes))
        terms = linear_head_terms(
            linear,
            y_true,
            passes,
            task_factor=task_factor,
            divergence_factor=divergence_factor,
            sample_weight=sample_weight,
            mask=mask,
            reduction=str(output.reduction),
        )
        sums, denominator = terms.sums, self._replicas.sum(terms.denominator)
        task = [sums.task[i] for i in range(len(passes))]
        self._log(
            Terms(task, sums.divergence, denominator, terms.bad_labels),
            denominator,
            output.loss_weight,
        )
        return ops.divide_no_nan(sums.total, denominator)

    def shown(self, predictions: Nested) -> Nested:
        """Returns predictions for metrics: logits, without a gradient, for hidden states."""

        def show(leaf: Tensor) -> Tensor:
            head = self._heads.get(id(leaf))
            if head is None:
                return leaf
            hidden = ops.stop_gradient(leaf)
            mask_to(hidden, get_mask(leaf))
            return head.logits(hidden)

        return tree.map_structure(show, predictions) if self._heads else predictions

    def specs(self, predictions: Nested) -> Nested:
        """Returns the shapes and dtypes of what `shown` would return, and makes nothing."""

        def spec(leaf: Tensor) -> keras.KerasTensor:
            head = self._heads.get(id(leaf))
            if head is None:
                return _spec(leaf)
            dtype = keras.backend.standardize_dtype(head.dtype or leaf.dtype)
            return keras.KerasTensor((*leaf.shape[:-1], head.projection.classes), dtype)

        return tree.map_structure(spec, predictions)

    def _log(self, terms: Terms, denominator: Tensor, loss_weight: float) -> None:
        task = sum(terms.task[1:], terms.task[0]) / len(terms.task)
        self.task = _add(self.task, loss_weight * ops.divide_no_nan(task, denominator))
        if terms.divergence is not None:
            share = loss_weight * ops.divide_no_nan(terms.divergence, denominator)
            self.divergence = _add(self.divergence, share)
        if terms.bad_labels is not None:
            self.bad_labels = _add(self.bad_labels, terms.bad_labels)


class OutputLoss(keras.losses.Loss):
    """The loss of one output: the user's, or R-Drop's while passes are in view."""

    def __init__(
        self, loss: keras.losses.Loss, head: Head, output_name: str, loss_weight: float
    ) -> None:
        super().__init__(name=loss.name, reduction=loss.reduction)
        self.loss, self.head = loss, head
        self.output_name, self.loss_weight = output_name, loss_weight
        self.view = _PerThread()

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Returns the user's loss of one pass, or R-Drop's of the passes in view."""
        if self.view.passes is None:
            return self.loss(y_true, y_pred, _per_position(sample_weight, y_pred))
        return self.view.passes.loss(self, y_true, y_pred, sample_weight)

    def terms(self, y_true: Tensor, passes: list[Tensor], sample_weight: Tensor | None) -> Terms:
        """Returns the sums of this output for some passes."""
        return rdrop_terms(
            y_true,
            passes,
            self.head,
            sample_weight=sample_weight,
            mask=get_mask(passes[0]),
            reduction=str(self.reduction),
        )

    def linear_head(self, projection: Projection) -> LinearHead | None:
        """Returns how this output's loss comes from hidden states; None if it needs logits."""
        head = self.head
        if not isinstance(head, SoftmaxHead) or not (head.sparse and head.from_logits):
            return None
        symmetric = head.of_logs and head.divergence is CLASS_DIVERGENCES["symmetric_kl"]
        if not (symmetric and head.standard and head.axis == -1):
            return None
        return LinearHead(projection, head.label_smoothing, head.ignore_class)


class _PerThread(threading.local):
    """MirroredStrategy runs its replicas in threads that take turns inside a step."""

    passes: PassesInView | None = None


class RDropCompileLoss(CompileLoss):
    """Keras' compiled loss with an `OutputLoss` in the place of each loss."""

    def __init__(
        self,
        loss: Any,
        loss_weights: Any,
        output_names: list[str] | None,
        *,
        alpha: Alpha,
        divergence: str | Divergence,
    ) -> None:
        super().__init__(loss, loss_weights, output_names=output_names)
        self._alpha, self._divergence = alpha, divergence

    # What Keras makes of losses, loss weights and outputs: (path, loss, loss_weights, name).
    _flat_losses: list[Any]

    def build(self, y_true: Nested, y_pred: Nested) -> None:
        """Matches losses to outputs as Keras does, then puts ours in their place."""
        super().build(y_true, y_pred)
        # Only whole if what follows succeeds: on Torch `fit` goes on after a failed build.
        self.built = False
        self._alpha.check_outputs(entry.name for entry in self._flat_losses)
        self._flat_losses = [
            entry._replace(loss=self._output_loss(entry)) for entry in self._flat_losses
        ]
        self.built = True

    def with_passes(
        self, view: PassesInView, y: Nested, y_pred: Nested, sample_weight: Nested | None
    ) -> Tensor:
        """Computes the loss while all passes are in view; `y_pred` is the first pass."""
        if not self.built:
            self._build_without_state(y, view.specs(y_pred), sample_weight)
        outputs = [entry.loss for entry in self._flat_losses]
        for output in outputs:
            output.view.passes = view
        try:
            return self(y, y_pred, sample_weight)
        finally:
            for output in outputs:
                output.view.passes = None

    def _build_without_state(self, y: Nested, y_pred: Nested, sample_weight: Nested | None) -> None:
        """Lets Keras build the losses from shapes, before passes come into view.

        `y_pred` holds symbolic tensors.
        """
        y, sample_weight = tree.map_structure(_spec, (y, sample_weight))
        keras.src.backend.compute_output_spec(self, y, y_pred, sample_weight)

    def _output_loss(self, entry: Any) -> OutputLoss:
        loss = entry.loss
        if loss.reduction not in REDUCTIONS:
            raise ValueError(
                "RDropModel needs a loss that is averaged or summed. Received: reduction="
                f"{loss.reduction!r} of the loss `{loss.name}`"
            )
        weight = 1.0 if entry.loss_weights is None else entry.loss_weights
        return OutputLoss(loss, self._head(loss, entry.name), entry.name, weight)

    def _head(self, loss: keras.losses.Loss, output_name: str) -> Head:
        if self._alpha.is_zero_for(output_name):
            return PlainHead(loss, squared_difference)
        return resolve_head(resolve_loss(loss), self._divergence)


def check_losses(loss: Any, divergence: str | Divergence) -> None:
    """Raises for losses without a known divergence, before anything is compiled."""
    for one in tree.flatten(loss):
        # These two names are resolved by the shape of the predictions.
        if one is not None and str(one).lower() not in ("crossentropy", "ce"):
            resolve_head(resolve_loss(one), divergence)


def _task_only(per_pass: list[Terms]) -> Terms:
    first = per_pass[0]
    task = [terms.task[0] for terms in per_pass]
    return Terms(task, None, first.denominator, first.bad_labels)


def _add(total: Tensor | None, x: Tensor) -> Tensor:
    return x if total is None else total + x


def _per_position(sample_weight: Tensor | None, y_pred: Tensor) -> Tensor | None:
    """Repeats one weight per example for every position of a loss, where Keras fails."""
    if sample_weight is None or len(sample_weight.shape) != 1 or len(y_pred.shape) < 3:
        return sample_weight
    weights = ops.reshape(sample_weight, (-1, *[1] * (len(y_pred.shape) - 2)))
    # A product, not a broadcast view: Keras multiplies weights by the mask in place on Torch.
    return weights * ops.ones_like(y_pred[..., 0], dtype=weights.dtype)


def _spec(x: Any) -> Any:
    if x is None:
        return None
    return keras.KerasTensor(x.shape, keras.backend.standardize_dtype(x.dtype))
