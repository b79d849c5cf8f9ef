"""What one training step computes, the same on every backend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.models.deferred_head import DeferredHead
from rdrop_tf.models.objective import PassesInView
from rdrop_tf.models.passes import batch_size, evaluation, inputs_of_passes
from rdrop_tf.models.replicas import Replicas

if TYPE_CHECKING:
    from rdrop_tf.models.rdrop_model import RDropModel


@dataclass(frozen=True)
class StepLoss:
    """The loss of a step, and what there is to log.

    Attributes:
        total: This replica's share of the loss: task, divergence and added losses. The
            shares of all replicas add up to the loss of the global batch.
        prediction: The first pass, for metrics: each example counts once. Where nothing asks for
            them, hidden states stand for the logits of a vocabulary head.
        task: This replica's share of the mean task loss.
        divergence: This replica's share of the divergence, None if none was computed.
        bad_labels: How many labels were no class, None where none can be.
        rows: Examples on this replica.
        one_of_replicas: 1 divided by the number of replicas.
    """

    total: Tensor
    prediction: Nested
    task: Tensor
    divergence: Tensor | None
    bad_labels: Tensor | None
    rows: Tensor
    one_of_replicas: float = 1.0


def step_loss(
    model: "RDropModel",
    x: Nested,
    y: Nested,
    sample_weight: Nested | None,
    *,
    passes: int,
    replicas: Replicas,
    training: bool = True,
) -> StepLoss:
    """Runs the passes of a batch and computes the loss.

    Args:
        model: The compiled RDropModel.
        x: Inputs of this replica's part of the batch.
        y: Its labels.
        sample_weight: Its weights.
        passes: 1 for a step without the divergence.
        replicas: The replicas that share the batch.
        training: False for evaluation, with one pass and without noise.
    """
    heads: Mapping[int, DeferredHead] = {}
    if training:
        inputs = inputs_of_passes(x, passes, model.views)
        forward, heads = model.vocabulary_heads.run(model, inputs, model.resolved_forward)
    else:
        forward = evaluation(model, x)
    view = PassesInView(
        forward.predictions,
        alpha=model.alpha_weights,
        step=model.optimizer.iterations,
        normalize=model.normalize,
        replicas=replicas,
        heads=heads,
    )
    prediction = forward.predictions[0]
    total = model.compiled_loss_of_passes(view, y, prediction, sample_weight)
    rows = ops.cast(batch_size(x), "float32")
    if forward.added_loss is not None:
        # Batch means of unequal parts: weigh by rows, not by 1 / replicas.
        share = ops.divide_no_nan(rows, replicas.sum(rows)) if replicas.count > 1 else 1.0
        total = total + ops.cast(forward.added_loss, total.dtype) * share
    task = total if view.task is None else view.task
    return StepLoss(
        total,
        view.shown(prediction) if _are_asked_for(model) else prediction,
        task,
        view.divergence,
        view.bad_labels,
        rows,
        1.0 / replicas.count,
    )


def _are_asked_for(model: "RDropModel") -> bool:
    """Whether anything reads the predictions of a training step: metrics, or a user's own code."""
    function = getattr(model.compute_metrics, "__func__", None)
    return model._compile_metrics is not None or function is not keras.Model.compute_metrics


def log_terms(
    model: "RDropModel",
    loss: StepLoss,
    total: Tensor,
    task: Tensor,
    divergence: Tensor | None,
    *,
    tracks_loss: bool = True,
) -> None:
    """Updates the running means of `loss`, `ce` and `kl` with values of the whole batch.

    Args:
        model: The compiled RDropModel.
        loss: The loss of the step on this replica.
        total: The loss of the whole batch.
        task: Its task loss.
        divergence: Its divergence, None if none was computed.
        tracks_loss: False where Keras itself updates the mean of `loss`.
    """
    if tracks_loss:
        model._loss_tracker.update_state(total, sample_weight=loss.rows)
    model.ce_tracker.update_state(task, sample_weight=loss.rows)
    if divergence is not None:
        model.kl_tracker.update_state(divergence, sample_weight=loss.rows)
    if loss.bad_labels is not None:
        model.bad_labels_tracker.update_state(ops.cast(loss.bad_labels, "float32"))


def figures(model: "RDropModel") -> dict[int, Tensor]:
    """Returns what each metric variable holds, by its id, before a step that may be left out."""
    return {id(v): ops.copy(v.value) for v in model.metrics_variables}


def leave_out_unless(
    model: "RDropModel",
    is_taken: Tensor,
    before: Mapping[int, Tensor],
    one_of_replicas: float = 1.0,
) -> None:
    """Puts the metrics back to what they held before a step that was left out, and counts it.

    Args:
        model: The compiled RDropModel.
        is_taken: Whether the optimizer took the step.
        before: What `figures` returned before it; metrics that the step has made are not in it.
        one_of_replicas: 1 divided by the number of replicas, each of which counts.
    """
    for variable in model.metrics_variables:
        if id(variable) in before:
            variable.assign(ops.where(is_taken, variable.value, before[id(variable)]))
    model.skipped_tracker.update_state(ops.where(is_taken, 0.0, one_of_replicas))


def log_gradient_norm(model: "RDropModel", gradients: Sequence[Any]) -> None:
    """Updates the running mean of `gradient_norm` with that of the whole batch.

    Args:
        model: The compiled RDropModel.
        gradients: Dense gradients of the scaled loss; None where a variable has none.
    """
    present = [ops.cast(g, "float32") for g in gradients if g is not None]
    norm = ops.sqrt(sum(ops.sum(ops.square(g)) for g in present))
    scale = getattr(model.optimizer, "dynamic_scale", None)
    if scale is None:
        model.gradient_norm_tracker.update_state(norm)
        return
    # A step whose gradients overflow is skipped by the optimizer.
    is_taken = ops.isfinite(norm)
    norm = ops.where(is_taken, norm / ops.cast(scale, "float32"), 0.0)
    model.gradient_norm_tracker.update_state(norm, sample_weight=ops.cast(is_taken, "float32"))
