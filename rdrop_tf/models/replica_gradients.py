"""What becomes of the gradients of replicas: summed once, and given to the optimizer as they are.

An optimizer of Keras clips what it gets and then sums over the replicas, which is wrong: clipped
must be the sum, and an overflow on one replica must be seen by all. So the sum comes first, and the
optimizer is told that there is nothing left to sum.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rdrop_tf._typing import Tensor


def dense(gradient: Tensor) -> Tensor:
    """Adds up the slices of an embedding's gradient, of which several may be of one row."""
    import tensorflow as tf

    return None if gradient is None else tf.convert_to_tensor(gradient)


def apply_summed(optimizer: Any, gradients: list[Tensor], variables: list[Any]) -> None:
    """Takes an optimizer's step with gradients that are the same on all replicas.

    Args:
        optimizer: Keras' own, or one inside a `LossScaleOptimizer`.
        gradients: Summed over the replicas; None where a variable has none.
        variables: The variables, in the same order.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    instead: dict[str, Any] = {"_all_reduce_sum_gradients": lambda pairs: pairs}
    if inner.gradient_accumulation_steps or inner.ema_overwrite_frequency:
        instead["_backend_apply_gradients"] = _BranchesOutside(inner)
    # Replicas are threads in step: whoever leaves first, all others are past the optimizer's sum.
    with _replaced(inner, instead):
        optimizer.apply(gradients, variables)


@contextmanager
def _replaced(optimizer: Any, methods: Mapping[str, Any]) -> Iterator[None]:
    vars(optimizer).update(methods)
    try:
        yield
    finally:
        for name in methods:
            vars(optimizer).pop(name, None)


class _BranchesOutside:
    """Accumulates or updates, and overwrites weights with their averages where it is time to.

    Keras makes these choices on each replica, where TensorFlow allows no update of mirrored
    variables inside a branch. So they are made outside of them. What Keras does around it
    (constraints, the count of slices) it does as ever, and moments are corrected and rates looked
    up by the same numbers as on one device.

    Args:
        optimizer: One that accumulates, or overwrites.
    """

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer

    def __call__(self, gradients: list[Tensor], variables: list[Any]) -> None:
        """Does what `_backend_apply_gradients` does, with gradients that are summed."""
        import tensorflow as tf

        optimizer = self._optimizer
        context = tf.distribute.get_replica_context()
        if optimizer.gradient_accumulation_steps:
            context.merge_call(self._take_turns, args=([dense(g) for g in gradients], variables))
        else:
            self._update(gradients, variables)
        if optimizer.use_ema:
            optimizer._update_model_variables_moving_average(optimizer._trainable_variables)
            if optimizer.ema_overwrite_frequency:
                context.merge_call(self._overwrite)

    def _update(self, gradients: list[Tensor], variables: list[Any]) -> None:
        optimizer = self._optimizer
        gradients = optimizer._clip_gradients(gradients)
        optimizer._apply_weight_decay(variables)
        optimizer._backend_update_step(gradients, variables, optimizer.learning_rate)

    def _take_turns(self, strategy: Any, gradients: list[Tensor], variables: list[Any]) -> None:
        """Accumulates, or updates with what was accumulated."""
        import tensorflow as tf

        optimizer = self._optimizer
        steps = optimizer.gradient_accumulation_steps
        sums = [
            optimizer._accumulated_gradients[optimizer._get_variable_index(v)] for v in variables
        ]

        def update(gradients: list[Tensor]) -> None:
            means = [(g + s.value) / steps for g, s in zip(gradients, sums, strict=True)]
            self._update(means, variables)

        def take_turn() -> None:
            strategy.extended.call_for_each_replica(update, args=(gradients,))
            for total in sums:
                _on_each(strategy, total, lambda v: v.assign(tf.zeros_like(v)))

        def wait() -> None:
            for total, gradient in zip(sums, gradients, strict=True):
                _on_each(strategy, total, lambda v, g: v.assign_add(g), gradient)

        is_turn = tf.equal(tf.math.floormod(optimizer._iterations.value + 1, steps), 0)
        tf.cond(is_turn, take_turn, wait)

    def _overwrite(self, strategy: Any) -> None:
        """Puts the averages of the weights in their place, where it is time to."""
        import tensorflow as tf

        optimizer = self._optimizer
        pairs = zip(
            optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
        )

        def overwrite() -> None:
            for variable, average in pairs:
                _on_each(strategy, variable, lambda v, a: v.assign(a), average.value)

        next_update = optimizer.iterations + 1
        is_time = tf.equal(tf.math.floormod(next_update, optimizer.ema_overwrite_frequency), 0)
        tf.cond(is_time, overwrite, lambda: None)


def _on_each(strategy: Any, variable: Any, function: Callable[..., Any], *args: Any) -> None:
    strategy.extended.update(variable.value, function, args=args, group=False)
