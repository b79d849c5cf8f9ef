"""All that a training is at one moment, as arrays and plain values, and back."""

import random
import re
from collections.abc import Mapping
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from rdrop_tf._keras import global_seed, set_global_seed
from rdrop_tf.models import RDropModel
from rdrop_tf.models.replica_values import assign_replicas, own_to_replicas, read_replicas
from rdrop_tf.models.skip_non_finite import stepping_optimizer

Arrays = dict[str, NDArray[Any]]
_VARIABLE, _RANDOM = "variable ", "numpy's generator"
_NUMBER = re.compile(r"_\d+(?=[_/]|$)")


def variables_of(model: RDropModel) -> list[keras.Variable]:
    """Returns every variable that a step reads or writes, each once, in a fixed order.

    Weights, statistics, random seeds, alpha, what the optimizer holds (its step, its moments, the
    loss scale), and the running means of the metrics.
    """
    optimizer = stepping_optimizer(model.optimizer)
    found = [*model.variables, *optimizer.variables, *model.metrics_variables]
    return list({id(v): v for v in found}.values())


def save_variables(model: RDropModel, arrays: Arrays) -> None:
    """Adds the values of all variables to `arrays`, by their place and path."""
    if keras.backend.backend() == "jax":  # within an epoch they are in the step's state
        model.jax_state_sync()
    variables = variables_of(model)
    own = own_to_replicas(model, variables)
    parts = [v for v, is_own in zip(variables, own, strict=True) if is_own]
    of_replicas = iter(read_replicas(model._distribute_strategy, parts) if parts else [])
    for place, (variable, is_own) in enumerate(zip(variables, own, strict=True)):
        value = next(of_replicas) if is_own else ops.convert_to_numpy(variable)
        arrays[f"{_VARIABLE}{place:05} {variable.path}"] = np.array(value)


def check_variables(model: RDropModel, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raises unless arrays are of a model like this one, trained with an optimizer like its own.

    Raises:
        ValueError: Names the first variable that differs.
    """
    now = variables_of(model)
    variables = [
        (v.path, (replicas_of(model), *v.shape) if is_own else v.shape, v.dtype)
        for v, is_own in zip(now, own_to_replicas(model, now), strict=True)
    ]
    saved = [
        (name.split(" ", 2)[2], array.shape, array.dtype) for name, array in _variables(arrays)
    ]
    for wanted, found in zip_longest(variables, saved):
        if wanted is None or found is None or _kind(*wanted) != _kind(*found):
            raise ValueError(
                "a checkpoint must be of the same model, compiled alike. "
                f"Received: one that has {_words(found)} where {_words(wanted)} is wanted"
            )


def restore_variables(model: RDropModel, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Gives all variables the values that were saved."""
    variables = variables_of(model)
    own = own_to_replicas(model, variables)
    for variable, is_own, (_, array) in zip(variables, own, _variables(arrays), strict=True):
        if is_own:
            assign_replicas(model._distribute_strategy, variable, array)
        else:
            variable.assign(array)


def replicas_of(model: RDropModel) -> int:
    """Returns how many replicas share each batch."""
    strategy = getattr(model, "_distribute_strategy", None)
    return 1 if strategy is None else int(strategy.num_replicas_in_sync)


def non_finite(model: RDropModel, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Returns where weights, statistics and moments are no finite numbers, by their names.

    What a metric holds does not count: nothing goes on from it but logs.

    Args:
        model: The model.
        arrays: What `save_variables` made of it.
    """
    figures = {id(v) for v in model.metrics_variables}
    found = {}
    for variable, (name, array) in zip(variables_of(model), _variables(arrays), strict=True):
        if id(variable) not in figures and "float" in str(array.dtype):
            is_bad = ~np.isfinite(array)
            if is_bad.any():
                found[name] = is_bad
    return found


def check_finite(
    found: Mapping[str, NDArray[Any]], before: Mapping[str, NDArray[Any]] = MappingProxyType({})
) -> None:
    """Raises if a value is no finite number that was one before.

    Args:
        found: What `non_finite` has found.
        before: What it found before training: a mask of -inf is meant to be one.

    Raises:
        FloatingPointError: Names the first.
    """
    for name, is_bad in found.items():
        is_new = is_bad & ~before.get(name, np.zeros((), bool))
        if is_new.any():
            raise FloatingPointError(
                f"a checkpoint must hold finite numbers. Received: {name.split(' ', 2)[2]!r} with "
                f"{int(is_new.sum())} that are not; it was not saved"
            )


def random_state(arrays: Arrays) -> dict[str, Any]:
    """Returns where the generators of the process stand; adds the array of NumPy's."""
    version, numbers, gauss = random.getstate()
    name, keys, *rest = np.random.get_state()
    arrays[_RANDOM] = np.asarray(keys)
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [name, *rest],
        "keras": global_seed(),
    }


def restore_random_state(state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Puts the generators of the process back."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, *rest = state["numpy"]
    np.random.set_state((name, arrays[_RANDOM], *rest))
    set_global_seed(state["keras"])


def _variables(arrays: Mapping[str, NDArray[Any]]) -> list[tuple[str, NDArray[Any]]]:
    return [(name, array) for name, array in arrays.items() if name.startswith(_VARIABLE)]


def _kind(path: str, shape: Any, dtype: Any) -> tuple[str, tuple[int, ...], str]:
    """Leaves out the numbers by which Keras tells the layers of one process apart."""
    return _NUMBER.sub("", path), tuple(shape), str(dtype)


def _words(form: tuple[str, Any, Any] | None) -> str:
    if form is None:
        return "no variable"
    path, shape, dtype = form
    return f"{path!r} of shape {tuple(shape)} and dtype {dtype}"
