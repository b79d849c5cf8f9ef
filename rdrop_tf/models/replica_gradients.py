"""What becomes of the gradients of replicas: summed once, and given to the optimizer as they are.

An optimizer of Keras clips what it gets and then sums over the replicas, which is wrong: clipped
must be the sum, and an overflow on one replica must be seen by all. So the sum comes first, and the
optimizer is told that there is nothing left to sum.
"""

from collections.abc import Callable, Iterator
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
    with _nothing_to_sum(inner):
        if inner.gradient_accumulation_steps:
            _apply_by_turns(optimizer, gradients, variables)
        else:
            optimizer.apply(gradients, variables)


@contextmanager
def _nothing_to_sum(inner: Any) -> Iterator[None]:
    # Replicas are threads in step: whoever leaves first, all others are past the optimizer's sum.
    vars(inner)["_all_reduce_sum_gradients"] = lambda pairs: pairs
    try:
        yield
    finally:
        vars(inner).pop("_all_reduce_sum_gradients", None)


def _apply_by_turns(optimizer: Any, gradients: list[Tensor], variables: list[Any]) -> None:
    """Accumulates, or updates with what was accumulated.

    Keras makes this choice on each replica, where TensorFlow allows no update of mirrored
    variables inside a branch. So the choice is made outside of them.
    """
    import tensorflow as tf

    if optimizer.built is False:
        optimizer.build(variables)
    given = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
    sums = [optimizer._accumulated_gradients[optimizer._get_variable_index(v)] for _, v in given]
    steps = optimizer.gradient_accumulation_steps

    def update(gradients: list[Tensor]) -> None:
        means = [(g + s.value) / steps for g, s in zip(gradients, sums, strict=True)]
        optimizer.apply(means, [v for _, v in given])

    def choose(strategy: Any, gradients: list[Tensor]) -> None:
        def each(variable: Any, function: Callable[..., Any], *args: Any) -> None:
            strategy.extended.update(variable.value, function, args=args, group=False)

        def take_turn() -> None:
            with _at_once(optimizer):
                strategy.extended.call_for_each_replica(update, args=(gradients,))
            for total in sums:
                each(total, lambda v: v.assign(tf.zeros_like(v)))

        def wait() -> None:
            for total, gradient in zip(sums, gradients, strict=True):
                each(total, lambda v, g: v.assign_add(g), gradient)
            each(optimizer._iterations, lambda v: v.assign_add(1))

        is_turn = tf.equal(tf.math.floormod(optimizer._iterations.value + 1, steps), 0)
        tf.cond(is_turn, take_turn, wait)

    context = tf.distribute.get_replica_context()
    context.merge_call(choose, args=([dense(g) for g, _ in given],))


@contextmanager
def _at_once(optimizer: Any) -> Iterator[None]:
    steps, optimizer.gradient_accumulation_steps = optimizer.gradient_accumulation_steps, None
    try:
        yield
    finally:
        optimizer.gradient_accumulation_steps = steps
