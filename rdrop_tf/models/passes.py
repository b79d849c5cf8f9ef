"""The ways to get several stochastic forward passes of the same batch."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops, tree

from rdrop_tf._keras import (
    get_logits,
    get_mask,
    losses_of_last_call,
    losses_of_weights,
    set_logits,
    set_mask,
)
from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.layers.kept_hidden import KeptHidden, keep_hidden, kept_hidden
from rdrop_tf.models.choice import check_can_share, choose, is_unbuilt
from rdrop_tf.models.frontier import frontier_of
from rdrop_tf.models.graphs import graph_of, wrapped
from rdrop_tf.models.prefix import Prefix

FORWARDS = ("auto", "two_calls", "concat", "shared_prefix")


@dataclass(frozen=True)
class Forward:
    """The predictions of every pass, and the mean of what the model added as losses."""

    predictions: list[Nested]
    added_loss: Tensor | None


def run_passes(model: keras.Model, inputs: Sequence[Nested], forward: str) -> Forward:
    """Calls a model on a batch with `training=True` and gets one prediction per pass.

    Args:
        model: The model to call.
        inputs: The batch of each pass: the same one, or views of the same examples. Never
            changed.
        forward: "two_calls", "concat", "shared_prefix", or "auto" to choose here.
    """
    if len(inputs) == 1:
        return separate_calls(model, inputs)
    if forward in ("auto", "shared_prefix"):
        _build(model, inputs[0])
        views = 1 if all(x is inputs[0] for x in inputs) else len(inputs)
        if forward == "auto":
            forward = choose(model, forward, views).forward
        else:
            check_can_share(model, views)
    if forward == "shared_prefix":
        prefix = Prefix(graph_of(model), frontier_of(model))
        return separate_calls(model, inputs, around=prefix.watching)
    return (concatenated if forward == "concat" else separate_calls)(model, inputs)


def _build(model: keras.Model, x: Nested) -> None:
    """Builds a sequential model as its first call would: only then is its graph known."""
    if is_unbuilt(model) and hasattr(x, "shape"):
        wrapped(model).build(tuple(x.shape))


def inputs_of_passes(x: Nested, passes: int, views: int) -> list[Nested]:
    """Returns the batch of each pass, of a training batch that may hold several views."""
    if views == 1:
        return [x] * passes
    if not holds_views(x, views):
        raise ValueError(
            f"With `views={views}` the training data give a tuple of {views} inputs, one for each "
            f"pass. Received: x of type {type(x).__name__}"
            f"{f' and length {len(x)}' if isinstance(x, (tuple, list)) else ''}"
        )
    return list(x[:passes])


def holds_views(x: Nested, views: int) -> bool:
    """Whether a batch holds several views of its examples."""
    return views > 1 and isinstance(x, (tuple, list)) and len(x) == views


def separate_calls(
    model: keras.Model,
    inputs: Sequence[Nested],
    around: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Forward:
    """Calls the model once per pass.

    Only the first pass changes the model's own state (BatchNorm statistics, for one), as
    in ordinary training; the others only move on what they draw noise from.

    Args:
        model: The model to call.
        inputs: The batch of each pass.
        around: Makes a context for each call.
    """
    first, *others = inputs
    with around():
        prediction, losses = _call(model, first)
    predictions, added = [prediction], [_sum(losses)]
    for other in others:
        with _StateOfCall(model, keeps=False) as call, around():
            predictions.append(model(other, training=True))
        added.append(_sum(call.losses))
    return Forward(predictions, _plus(_mean(added), _sum(losses_of_weights(model))))


def evaluation(model: keras.Model, x: Nested) -> Forward:
    """Calls the model once, without noise."""
    return Forward([model(x, training=False)], _sum(model.losses))


def concatenated(model: keras.Model, inputs: Sequence[Nested]) -> Forward:
    """Calls the model once on [x; x; ...] and cuts its outputs apart."""
    rows = batch_size(inputs[0])
    outputs, losses = _call(model, stack_batches(inputs))
    cut = [split_rows(leaf, rows, len(inputs)) for leaf in tree.flatten(outputs)]
    parts = [tree.pack_sequence_as(outputs, list(leaves)) for leaves in zip(*cut, strict=True)]
    return Forward(parts, _sum([*losses, *losses_of_weights(model)]))


def batch_size(x: Nested) -> Any:
    """Returns the number of rows of a batch, a number where it is known."""
    leaf = next(leaf for leaf in tree.flatten(x) if leaf is not None)
    static = leaf.shape[0]
    return ops.shape(leaf)[0] if static is None else static


def stack_batches(batches: Sequence[Nested]) -> Nested:
    """Puts batches below each other, leaf by leaf."""
    return tree.map_structure(_stack, *batches)


def _stack(*leaves: Any) -> Tensor:
    first = leaves[0]
    if first is None:
        return None
    if len(first.shape) == 0:
        raise ValueError(
            "forward='concat' needs inputs with a batch axis. Received: an input of shape (); "
            "use forward='two_calls' for inputs that are shared by the whole batch"
        )
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if isinstance(first, tf.SparseTensor):
            return tf.sparse.concat(0, list(leaves))
        # Strings and ragged tensors are unknown to `keras.ops`.
        return tf.concat(list(leaves), axis=0)
    return ops.concatenate(list(leaves), axis=0)


def split_rows(x: Tensor, rows: Any, parts: int) -> list[Tensor]:
    """Cuts a tensor into parts of `rows` rows each, with what travels with it."""
    _check_rows(x, rows, parts)
    # One split, not slices: its gradient is one concatenation, not a padded sum.
    pieces = list(ops.split(x, parts, axis=0))
    for getter, setter in ((get_logits, set_logits), (get_mask, set_mask)):
        attached = getter(x)
        if attached is not None:
            for piece, part in zip(pieces, ops.split(attached, parts, axis=0), strict=True):
                setter(piece, part)
    kept = kept_hidden(x)
    if kept is not None:
        for piece, part in zip(pieces, ops.split(kept.hidden, parts, axis=0), strict=True):
            keep_hidden(piece, KeptHidden(part, kept.head))
    return pieces


def _check_rows(x: Tensor, rows: Any, parts: int) -> None:
    known = isinstance(rows, int) and len(x.shape) > 0 and x.shape[0] is not None
    if len(x.shape) == 0 or (known and x.shape[0] != rows * parts):
        raise ValueError(
            "forward='concat' needs outputs with one row for each row of the input. "
            f"Received: an output of shape {tuple(x.shape)} for {parts} times {rows} rows; "
            "use forward='two_calls'"
        )


def _sum(losses: Sequence[Tensor]) -> Tensor | None:
    """Sums losses that may be of different dtypes and shapes, as Keras does."""
    sums = [ops.sum(_as_float(loss)) for loss in losses]
    return ops.sum(ops.stack(sums)) if sums else None


def _plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


def _as_float(loss: Tensor) -> Tensor:
    dtype = keras.backend.standardize_dtype(loss.dtype)
    return loss if "float" in dtype else ops.cast(loss, keras.backend.floatx())


def _mean(values: Sequence[Tensor | None]) -> Tensor | None:
    present = [value for value in values if value is not None]
    return sum(present[1:], present[0]) / len(present) if present else None


def _call(model: keras.Model, x: Nested) -> tuple[Nested, list[Tensor]]:
    """Calls the model in training; returns what it predicts and the losses that the call added."""
    if not _waits_for_siblings(model):
        return model(x, training=True), losses_of_last_call(model)
    with _StateOfCall(model, keeps=True) as call:
        outputs = model(x, training=True)
    return outputs, call.losses


def _waits_for_siblings(model: keras.Model) -> bool:
    """Whether replicas that are threads of this process change turns within a call of the model.

    Layers hold which losses are of their last call. Where one waits for the other replicas in its
    call, as a synchronized BatchNorm does, replicas would read each other's; a scope's are its own.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    if not any(getattr(layer, "synchronized", False) for layer in model._flatten_layers()):
        return False
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return False
    return len(context.strategy.extended.worker_devices) > 1


class _Scope(keras.StatelessScope):
    """A stateless scope that remembers which variables were given values in it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._updated: dict[int, keras.Variable] = {}

    @property
    def updated(self) -> list[keras.Variable]:
        """The variables, each once."""
        return list(self._updated.values())

    def add_update(self, update: tuple[keras.Variable, Tensor]) -> None:
        """Takes the new value of a variable."""
        super().add_update(update)
        self._updated[id(update[0])] = update[0]


class _StateOfCall:
    """A scope in which a call's losses are its own, and what becomes of the state it changes.

    Without `keeps` it changes no float state of the model, only integer state. That is what noise
    is drawn from (seeds and counters): it must move on, or the next pass would repeat this one's.
    """

    def __init__(self, model: keras.Model, keeps: bool) -> None:
        self._keeps = keeps
        self._trained = {id(v) for v in model.trainable_variables}
        current = [(v, v.value) for v in model.variables]
        # On JAX the values live in the surrounding scope; elsewhere reading through the
        # variable keeps it visible to the gradient tape.
        mapping = current if keras.backend.backend() == "jax" else []
        self._scope = _Scope(state_mapping=mapping, collect_losses=True)

    @property
    def losses(self) -> list[Tensor]:
        """What the call added: `add_loss` and activity regularisers."""
        return list(self._scope.losses)

    def __enter__(self) -> "_StateOfCall":
        self._scope.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._scope.__exit__(*error)
        if error[0] is None:
            self._commit()

    def _commit(self) -> None:
        # Not only what the model has: Keras' global generator must move on too, or a generator that
        # a layer hides from Keras.
        for variable in self._scope.updated:
            is_state = id(variable) not in self._trained
            if is_state and (self._keeps or "float" not in str(variable.dtype)):
                variable.assign(self._scope.get_current_value(variable))
