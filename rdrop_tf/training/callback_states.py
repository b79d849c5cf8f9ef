"""What callbacks remember, as plain values and arrays, and back."""

import copy
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
_CALLBACK = "callback "
# What Keras gives every callback; and a number whose sign it turns where it also sets a function,
# which is not saved: it would turn it again.
_GIVEN = ("params", "_model", "min_delta")
# Json knows lists, and dicts of strings. All else stands there as {_KIND: its kind, ...}.
_KIND = "__kind__"
_CONTAINERS = (dict, list, tuple, deque, set, frozenset)


class CallbackStates:
    """What callbacks remember: whatever plain values have changed since training began.

    Plain are numbers, strings, None, arrays, and lists, tuples, deques, sets and dicts of these.
    What was given to a callback (a patience, a path) does not change, so a new value of it counts
    when training goes on. What has changed once is saved from then on. A callback whose
    `is_resumed` is False begins anew.

    Args:
        callbacks: The callbacks, before training begins.
    """

    def __init__(self, callbacks: Iterable[keras.callbacks.Callback]) -> None:
        callbacks = [c for c in callbacks if getattr(c, "is_resumed", True)]
        self._callbacks = dict(zip(_names(callbacks), callbacks, strict=True))
        self._first = {n: copy.deepcopy(_plain(vars(c))) for n, c in self._callbacks.items()}
        self._changed: dict[str, set[str]] = {name: set() for name in self._callbacks}
        self._warned: set[tuple[str, str]] = set()

    def note(self) -> None:
        """Notes what has changed up to now.

        To be called when callbacks have heard that training begins: one that was used before goes
        back to its beginning then, and may come to the very values it was found with.
        """
        for name, callback in self._callbacks.items():
            first, changed = self._first[name], self._changed[name]
            for key, value in _plain(vars(callback)).items():
                if key not in changed and not (key in first and _same(value, first[key])):
                    changed.add(key)

    def save(self, arrays: Arrays) -> dict[str, Any]:
        """Returns what has changed, by callback and attribute; adds its arrays to `arrays`."""
        self.note()
        saved = {}
        for name, callback in self._callbacks.items():
            self._warn_of_lost(name, vars(callback))
            saved[name] = {
                key: _pack(value, arrays)
                for key, value in _plain(vars(callback)).items()
                if key in self._changed[name]
            }
        return saved

    def restore(self, saved: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> list[str]:
        """Sets what had changed; returns the callbacks that are not there any more."""
        for name, attributes in saved.items():
            callback = self._callbacks.get(name)
            if callback is None:
                continue
            self._changed[name] |= attributes.keys()
            for key, packed in attributes.items():
                value = _unpack(packed, arrays)
                setattr(callback, key, _like(getattr(callback, key, None), value))
        return [name for name, values in saved.items() if values and name not in self._callbacks]

    def _warn_of_lost(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Warns once of a collection that began plain and holds something else now."""
        for key, value in attributes.items():
            was_plain = isinstance(self._first[name].get(key), _CONTAINERS)
            if was_plain and not _can_be_saved(value) and (name, key) not in self._warned:
                self._warned.add((name, key))
                warnings.warn(
                    f"what `{key}` of the callback {name} holds is not saved: numbers, texts, "
                    "arrays and collections of these are. A training that goes on begins without",
                    stacklevel=2,
                )


def _like(now: Any, value: Any) -> Any:
    """Makes a dict or a tuple what the attribute is now: a defaultdict, or a named tuple."""
    if isinstance(value, tuple) and _is_named(now):
        return type(now)(*value)
    if not isinstance(value, dict) or not isinstance(now, dict) or type(now) is dict:
        return value
    made = copy.copy(now)
    made.clear()
    made.update(value)
    return made


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
    return {k: v for k, v in attributes.items() if k not in _GIVEN and _can_be_saved(v)}


def _can_be_saved(value: Any) -> bool:
    # A named tuple is made again from what the attribute is then; inside of others it could not.
    return _is_plain(tuple(value) if _is_named(value) else value)


def _is_named(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(one) for key, one in value.items())
    # Kinds of their own (a named tuple, an enum) would come back as what they are made of.
    if type(value) in _CONTAINERS:
        return all(map(_is_plain, value))
    if isinstance(value, np.ndarray):
        return value.dtype != object
    return type(value) in (type(None), bool, int, float, str) or isinstance(value, np.generic)


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple | deque):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return bool(a == b)


def _pack(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, dict):
        if all(type(key) is str for key in value) and _KIND not in value:
            return {key: _pack(one, arrays) for key, one in value.items()}
        pairs = [[_pack(key, arrays), _pack(one, arrays)] for key, one in value.items()]
        return {_KIND: "dict", "pairs": pairs}
    if isinstance(value, _CONTAINERS):
        packed = [_pack(one, arrays) for one in value]
        if type(value) is list:
            return packed
        made = {_KIND: next(k.__name__ for k in _CONTAINERS if isinstance(value, k))}
        return {**made, "values": packed, "maxlen": getattr(value, "maxlen", None)}
    if isinstance(value, np.ndarray | np.generic):
        name = f"{_CALLBACK}{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {_KIND: "array" if isinstance(value, np.ndarray) else "number", "name": name}
    return value


def _unpack(packed: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(packed, list):
        return [_unpack(one, arrays) for one in packed]
    if not isinstance(packed, dict):
        return packed
    kind = packed.get(_KIND)
    if kind is None:
        return {key: _unpack(one, arrays) for key, one in packed.items()}
    if kind in ("array", "number"):
        # A copy: what is unpacked may be changed in place, and unpacked again.
        array = np.array(arrays[packed["name"]])
        return array if kind == "array" else array[()]
    if kind == "dict":
        return {_unpack(key, arrays): _unpack(one, arrays) for key, one in packed["pairs"]}
    values = [_unpack(one, arrays) for one in packed["values"]]
    if kind == "deque":
        return deque(values, packed["maxlen"])
    return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](values)
