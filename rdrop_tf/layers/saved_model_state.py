"""Where the changes go that a SavedModel makes to its own variables.

A SavedModel assigns to TensorFlow variables directly. Keras does not see that: a second pass
that must leave BatchNorm statistics alone would move them, and each replica would keep
statistics, and a noise stream, of its own making.
"""

from collections.abc import Callable
from typing import Any

import keras

from rdrop_tf._keras import in_stateless_scope
from rdrop_tf._typing import Nested, Tensor

# Operations that read a variable and leave it as it is.
_READS = {"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape"}
# The name and odd distance of the streams of `tf.random.Generator`, whose last number is a key.
_GENERATOR_STATE = "StateVar"
_STREAM = 0x9E3779B97F4A7C1


def changes(function: Any, variable: Any) -> bool:
    """Whether a concrete function changes a variable."""
    captures = function.captured_inputs
    inputs = function.graph.inputs[len(function.graph.inputs) - len(captures) :]
    return any(
        _may_write(op, tensor)
        for capture, tensor in zip(captures, inputs, strict=True)
        if _is_of(capture, variable)
        for op in tensor.consumers()
    )


def _is_of(capture: Any, variable: Any) -> bool:
    """Whether a captured input is a variable: itself under a strategy, otherwise its handle."""
    import tensorflow as tf

    if capture is variable:
        return True
    return isinstance(capture, tf.Tensor) and capture is getattr(variable, "_handle", None)


def _may_write(op: Any, tensor: Any) -> bool:
    if op.type in _READS:
        return False
    try:
        read_only = op.get_attr("_read_only_resource_inputs")
    except ValueError:  # no call of a function, or one that TensorFlow knows nothing about
        return True
    return any(op.inputs[i] is tensor for i in range(len(op.inputs)) if i not in read_only)


class State:
    """The variables that a SavedModel changes by itself.

    Args:
        changed: Pairs of Keras' view of a variable, and the variable of TensorFlow that the
            SavedModel assigns to.
    """

    def __init__(self, changed: list[tuple[keras.Variable, Any]]) -> None:
        self._views = [view for view, _ in changed]
        self._own = own = [variable for _, variable in changed]
        self._streams = [v for v in own if v.name.split("/")[-1].startswith(_GENERATOR_STATE)]
        self._averaged = [v for v in own if v.dtype.is_floating]

    def run(self, function: Callable[[Nested], Nested], x: Nested) -> Nested:
        """Calls a function; what it changes goes where Keras and the strategy want it.

        In a `keras.StatelessScope` changes go to the scope. Under several replicas float state
        becomes the mean of all replicas, and every replica draws from a stream of its own.
        """
        if in_stateless_scope():
            return self._into_scope(function, x)
        outputs = self._with_own_stream(function, x)
        self._average()
        return outputs

    def _into_scope(self, function: Callable[[Nested], Nested], x: Nested) -> Nested:
        import tensorflow as tf

        before = [tf.identity(v) for v in self._own]
        for view, own in zip(self._views, self._own, strict=True):
            _assign(own, tf.convert_to_tensor(view.value))
        outputs = self._with_own_stream(function, x)
        for view, own, value in zip(self._views, self._own, before, strict=True):
            view.assign(tf.identity(own))
            _assign(own, value)
        return outputs

    def _with_own_stream(self, function: Callable[[Nested], Nested], x: Nested) -> Nested:
        replica = _replica()
        if replica is None:
            return function(x)
        for stream in self._streams:
            _move_key(stream, replica * _STREAM)
        outputs = function(x)
        for stream in self._streams:
            _move_key(stream, -replica * _STREAM)
        return outputs

    def _average(self) -> None:
        import tensorflow as tf

        if _replica() is None or not self._averaged:
            return
        context = tf.distribute.get_replica_context()
        means = context.all_reduce("MEAN", [tf.identity(v) for v in self._averaged])
        for variable, mean in zip(self._averaged, means, strict=True):
            _assign(variable, mean)


def _replica() -> Any:
    """Returns the index of this replica, None where there is but one."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return None
    return tf.cast(context.replica_id_in_sync_group, "int64")


def _assign(variable: Any, value: Tensor) -> None:
    """Assigns on this replica only, whatever the aggregation the variable was saved with."""
    import tensorflow as tf

    if tf.distribute.in_cross_replica_context():
        variable.assign(value)
    else:
        tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)


def _move_key(stream: Any, by: Tensor) -> None:
    import tensorflow as tf

    state = tf.identity(stream)
    _assign(stream, tf.concat([state[:-1], state[-1:] + by], axis=0))
