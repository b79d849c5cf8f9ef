"""What Keras has under no public name, in one place.

Checked against keras 3.15. The training steps in `models` use, besides, what Keras' own trainers
share with their subclasses: `_compile_loss`, `_loss_tracker`, `_symbolic_build`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from rdrop_tf._typing import Tensor


def get_mask(x: Any) -> Tensor | None:
    """Returns the mask that travels with a tensor (True = keep), or None."""
    return keras.src.backend.get_keras_mask(x)


def set_mask(x: Tensor, mask: Tensor) -> None:
    """Lets a mask travel with a tensor."""
    keras.src.backend.set_keras_mask(x, mask)


def get_logits(x: Any) -> Tensor | None:
    """Returns the logits that a softmax or sigmoid activation keeps with its output.

    Keras keeps them where the tensors of the backend take attributes (TensorFlow, Torch).
    """
    return getattr(x, "_keras_logits", None)


def set_logits(x: Tensor, logits: Tensor) -> None:
    """Keeps logits with the output of an activation, for Keras' own losses."""
    x._keras_logits = logits


def get_attached(x: Any, name: str) -> Any:
    """Returns what travels with a tensor under a name, or None."""
    return keras.src.backend.common.tensor_attributes.get_tensor_attr(x, name)


def set_attached(x: Any, name: str, value: Any) -> None:
    """Lets something travel with a tensor, as masks do."""
    keras.src.backend.common.tensor_attributes.set_tensor_attr(x, name, value)


def in_safe_mode() -> bool:
    """Whether what is being loaded may come from anywhere, and must run nothing of its own.

    Nothing is being loaded where a layer is cloned, or made by its own `from_config`.
    """
    return bool(keras.src.saving.serialization_lib.in_safe_mode())


def takes_training(model: Any) -> bool:
    """Whether a model's `call` has the argument `training`."""
    return bool(model._call_has_training_arg)


def losses_of_last_call(model: Any) -> list[Tensor]:
    """Returns what the last call added: `add_loss` and activity regularisers."""
    return [loss for layer in model._flatten_layers() for loss in layer._get_own_losses()]


def losses_of_weights(model: Any) -> list[Tensor]:
    """Returns the regularisation losses of the weights."""
    return list(model._get_regularization_losses())


# Matches losses, weights and metrics to outputs; `Model.compile` makes one.
CompileLoss = keras.src.trainers.compile_utils.CompileLoss


def in_stateless_scope() -> bool:
    """Whether values of variables live in a `keras.StatelessScope` at this moment."""
    return bool(keras.src.backend.common.stateless_scope.in_stateless_scope())


def in_symbolic_scope() -> bool:
    """Whether shapes alone are computed at this moment."""
    return bool(keras.src.backend.common.symbolic_scope.in_symbolic_scope())


def mask_to(x: Any, mask: Tensor | None) -> None:
    """Lets a mask travel with a tensor, or none."""
    if get_mask(x) is not mask:
        keras.src.backend.set_keras_mask(x, mask)


# A functional model, also inside a `Sequential`; `keras.Model` does not tell it from others.
Functional = keras.src.models.Functional

# Runs a functional model's graph: (model, inputs, operation_fn) -> outputs.
GraphRunner = Callable[[Any, Any, Callable[[Any], Callable[..., Any]]], Any]

run_graph: Any = keras.src.ops.function.Function._run_through_graph


class _InThread(threading.local):
    runner: GraphRunner | None = None


_in_thread = _InThread()
_replaced = threading.Lock()
_users = 0


def _run_through_graph(
    model: Any, inputs: Any, operation_fn: Any = lambda op: op, call_fn: Any = None
) -> Any:
    if _in_thread.runner is None or call_fn is not None:
        return run_graph(model, inputs, operation_fn=operation_fn, call_fn=call_fn)
    return _in_thread.runner(model, inputs, operation_fn)


@contextmanager
def graphs_run_by(runner: GraphRunner) -> Iterator[None]:
    """Lets `runner` run the graphs of functional models that are called in this thread.

    Replicas are traced by threads that take turns, so their scopes may overlap in any order:
    the method is put back by whoever leaves last.
    """
    global _users
    with _replaced:
        _users += 1
        Functional._run_through_graph = _run_through_graph
    outer, _in_thread.runner = _in_thread.runner, runner
    try:
        yield
    finally:
        _in_thread.runner = outer
        with _replaced:
            _users -= 1
            if _users == 0:
                del Functional._run_through_graph


def value_of(x: Any) -> Tensor:
    """Returns what an array, a tensor or a variable holds, as a tensor with a gradient to it.

    `ops.convert_to_tensor` leaves a variable of TensorFlow a variable.
    """
    x = x.value if isinstance(x, keras.Variable) else x
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.convert_to_tensor(x)
    return keras.ops.convert_to_tensor(x)


def replace_part(layer: Any, part: Any, other: Any) -> None:
    """Puts a layer in the place of one that a layer holds, also of a built layer."""
    layer._tracker.replace_tracked_value("layers", part, other)


def in_object_sharing_scope() -> bool:
    """Whether objects are being read that stay one where they are one in the file."""
    name = "shared_objects/id_to_obj_map"
    state = keras.src.backend.common.global_state
    return state.get_global_attribute(name) is not None


def py_dataset_batches(batches: keras.utils.PyDataset) -> Any:
    """Returns the batches of a PyDataset as the `tf.data.Dataset` that Keras makes of it."""
    adapter = keras.src.trainers.data_adapters.py_dataset_adapter.PyDatasetAdapter(batches)
    return adapter.get_tf_dataset()


def array_batches(x: Any, y: Any, sample_weight: Any, batch_size: int) -> Any:
    """Returns batches of arrays as the `tf.data.Dataset` that Keras makes of them.

    None where they are no arrays.
    """
    adapters = keras.src.trainers.data_adapters
    parts = (x, y, sample_weight)
    if not adapters.array_data_adapter.can_convert_arrays(parts):
        return None
    import tensorflow as tf

    adapter = adapters.ArrayDataAdapter(*parts, batch_size=batch_size)
    count = tf.data.experimental.assert_cardinality(adapter.num_batches)
    return adapter.get_tf_dataset().apply(count)


def global_seed() -> list[int] | None:
    """Returns what random functions without a seed draw from; None before the first has drawn."""
    generator = keras.src.backend.common.global_state.get_global_attribute("global_seed_generator")
    if generator is None:
        return None
    return [int(v) for v in keras.ops.convert_to_numpy(generator.state)]


def set_global_seed(seed: list[int] | None) -> None:
    """Sets what random functions without a seed draw from; None leaves them as they are."""
    if seed is not None:
        state = keras.src.random.seed_generator.global_seed_generator().state
        state.assign(keras.ops.cast(seed, state.dtype))
