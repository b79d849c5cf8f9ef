"""What each replica holds for itself, such as its part of a running mean, read and put back.

TensorFlow adds such parts up when a variable is read. A training that goes on has to go on from the
parts: sums are rounded, and in another order they are rounded apart.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


def own_to_replicas(model: keras.Model, variables: Sequence[Any]) -> list[bool]:
    """Says of each variable whether every replica may have a value of its own.

    Running means have, and statistics that Keras does not synchronize, such as BatchNorm's.
    """
    strategy = getattr(model, "_distribute_strategy", None)
    if strategy is None or strategy.num_replicas_in_sync == 1:
        return [False] * len(variables)
    statistics = {id(v) for v in model.non_trainable_variables if v.aggregation == "none"}
    return [v.synchronization == "on_read" or id(v) in statistics for v in variables]


def read_replicas(strategy: Any, variables: Sequence[Any]) -> list[NDArray[Any]]:
    """Returns the values that all replicas have, in the order of their numbers.

    All workers have to call it together.

    Args:
        strategy: The strategy under which the variables were made.
        variables: Variables that every replica has its own value of.

    Returns:
        An array of the shape (replicas, *shape) for each variable.
    """
    if not variables:
        return []
    rows = []
    for place, number in enumerate(_numbers(strategy)):
        parts = [np.asarray(_local(strategy, v, place)).reshape(-1) for v in variables]
        # float64 holds float32, and counts below 2^53, as they are.
        rows.append(np.concatenate([[number], *parts]).astype("float64"))
    values = _gathered(strategy, rows)
    values = values[np.argsort(values[:, 0])][:, 1:]
    ends = np.cumsum([int(np.prod(v.shape)) for v in variables])
    columns = np.split(values, ends[:-1], axis=1)
    return [
        part.reshape(-1, *v.shape).astype(str(v.dtype))
        for part, v in zip(columns, variables, strict=True)
    ]


def assign_replicas(strategy: Any, variable: Any, values: NDArray[Any]) -> None:
    """Gives each replica its value back."""
    for place, number in enumerate(_numbers(strategy)):
        _local(strategy, variable, place).assign(values[number])


def _numbers(strategy: Any) -> list[int]:
    """Returns the numbers of this process' replicas."""
    import tensorflow as tf

    numbers: list[int] = []

    def note(context: Any) -> Any:
        numbers.append(int(context.replica_id_in_sync_group))
        return tf.constant(0)

    strategy.experimental_distribute_values_from_function(note)
    return numbers


def _local(strategy: Any, variable: Any, place: int) -> Any:
    return strategy.experimental_local_results(variable.value)[place]


def _gathered(strategy: Any, rows: list[NDArray[Any]]) -> NDArray[Any]:
    import tensorflow as tf

    numbers = iter(rows)
    local = strategy.experimental_distribute_values_from_function(
        lambda _: tf.constant(next(numbers)[None])
    )
    return np.asarray(strategy.gather(local, axis=0))
