"""All that a training is at one moment, as arrays and plain values, and back."""

import random
import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from rdrop_tf._keras import global_seed, set_global_seed
from rdrop_tf.models import RDropModel
from rdrop_tf.models.replica_values import assign_replicas, own_to_replicas, read_replicas

Arrays = dict[str, NDArray[Any]]
_VARIABLE, _RANDOM, _CALLBACK = "variable ", "numpy's generator", "callback "
# Stands in a callback's state for an array, which lies with the others.
_ARRAY = "__array__"
_NUMBER = re.compile(r"_\d+(?=[_/]|$)")
# What Keras gives every callback; and a number whose sign it turns where it also sets a function,
# which is not saved: it would turn it again.
_GIVEN = ("params", "_model", "min_delta")


def variables_of(model: RDropModel) -> list[keras.Variable]:
    """Returns every variable that a step reads or writes, each once, in a fixed order.

    Weights, statistics, random seeds, alpha, what the optimizer holds (its step, its moments, the
    loss scale), and the running means of the metrics.
    """
    found = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
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


def check_finite(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raises if a weight, statistic or moment is no finite number; running means may be.

    Raises:
        FloatingPointError: Names the first.
    """
    for name, array in _variables(arrays):
        path = name.split(" ", 2)[2]
        is_mean = path.endswith(("/total", "/count"))
        if array.dtype.kind == "f" and not is_mean and not np.isfinite(array).all():
            raise FloatingPointError(
                f"a checkpoint must hold finite numbers. Received: {path!r} with "
                f"{int((~np.isfinite(array)).sum())} that are not; it was not saved"
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


class CallbackStates:
    """What callbacks remember: whatever plain values have changed since training began.

    Plain are numbers, strings, None, arrays, and lists, tuples, deques and dicts of these. What
    was given to a callback (a patience, a path) does not change, so a new value of it counts when
    training goes on. A callback whose `is_resumed` is False begins anew.

    Args:
        callbacks: The callbacks, before training begins.
    """

    def __init__(self, callbacks: Iterable[keras.callbacks.Callback]) -> None:
        callbacks = [c for c in callbacks if getattr(c, "is_resumed", True)]
        self._callbacks = dict(zip(_names(callbacks), callbacks, strict=True))
        self._first = {name: _plain(vars(c)) for name, c in self._callbacks.items()}

    def save(self, arrays: Arrays) -> dict[str, Any]:
        """Returns what has changed, by callback and attribute; adds its arrays to `arrays`."""
        saved = {}
        for name, callback in self._callbacks.items():
            first = self._first[name]
            saved[name] = {
                key: _pack(value, arrays)
                for key, value in _plain(vars(callback)).items()
                if key not in first or not _same(value, first[key])
            }
        return saved

    def restore(self, saved: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> list[str]:
        """Sets what had changed; returns the callbacks that are not there any more."""
        for name, attributes in saved.items():
            callback = self._callbacks.get(name)
            if callback is None:
                continue
            for key, packed in attributes.items():
                setattr(callback, key, _unpack(packed, arrays, getattr(callback, key, None)))
        return [name for name, values in saved.items() if values and name not in self._callbacks]


def _names(callbacks: Iterable[keras.callbacks.Callback]) -> list[str]:
    """Names each callback by its class and how many of it came before."""
    seen: Counter[str] = Counter()
    names = []
    for callback in callbacks:
        kind = type(callback).__name__
        names.append(f"{kind} {seen[kind]}")
        seen[kind] += 1
    return names


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) for k, v in attributes.items() if k not in _GIVEN and _is_plain(v)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(one) for key, one in value.items())
    if isinstance(value, list | tuple | deque):
        return all(map(_is_plain, value))
    if isinstance(value, np.ndarray):
        return value.dtype != object
    return value is None or isinstance(value, bool | int | float | str | np.generic)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(one) for key, one in value.items()}
    if isinstance(value, list | tuple | deque):
        return [_copy(one) for one in value]
    return value.copy() if isinstance(value, np.ndarray) else value


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and bool(a == b)


def _pack(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, dict):
        return {key: _pack(one, arrays) for key, one in value.items()}
    if isinstance(value, list):
        return [_pack(one, arrays) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        name = f"{_CALLBACK}{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {_ARRAY: name}
    return value


def _unpack(packed: Any, arrays: Mapping[str, NDArray[Any]], like: Any) -> Any:
    """Turns a packed value back; lists become what the attribute is now, a deque for one."""
    if isinstance(packed, dict):
        if set(packed) == {_ARRAY}:
            return arrays[packed[_ARRAY]]
        return {key: _unpack(one, arrays, None) for key, one in packed.items()}
    if isinstance(packed, list):
        values = [_unpack(one, arrays, None) for one in packed]
        if isinstance(like, deque):
            return deque(values, like.maxlen)
        return tuple(values) if isinstance(like, tuple) else values
    return packed


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
