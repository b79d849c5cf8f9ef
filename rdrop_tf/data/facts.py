"""What batches follow from, in few words: enough to tell other data from the same ones."""

from collections.abc import Mapping
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np
from keras import tree
from numpy.typing import NDArray

from rdrop_tf._typing import Nested

# By name, of the kinds that json knows.
Facts: TypeAlias = dict[str, Any]

_ROWS = 32
_VALUES = "values"
# Real numbers that were worked out on another kind of processor are rounded apart.
_TOLERANCE = 1e-4


def facts_of_arrays(arrays: Nested, rows: int) -> Facts:
    """Describes arrays by their forms and by a few rows, the first and the last among them.

    It takes the same time however many rows there are.

    Args:
        arrays: Arrays of as many rows; None where there is none.
        rows: How many.

    Example:
    >>> facts = facts_of_arrays((np.ones((5, 2), "float32"), np.array(["a"] * 5)), rows=5)
    >>> facts["rows"], facts["form"]
    (5, ['float32 (2,)', 'text ()'])
    """
    places = np.unique(np.linspace(0, max(rows - 1, 0), _ROWS).astype(np.int64))[:rows]
    leaves = [leaf for leaf in tree.flatten(arrays) if leaf is not None]
    return {
        "rows": rows,
        "form": [_form(leaf) for leaf in leaves],
        _VALUES: [_values(leaf[places]) for leaf in leaves],
    }


def difference(found: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Says in what data differ; None if in nothing that is known.

    Args:
        found: Their facts before.
        now: Their facts now.

    Example:
    >>> difference({"rows": 4, "seed": 0}, {"rows": 4, "seed": 1})
    'seed=1, which was 0'
    """
    for name in dict.fromkeys([*found, *now]):
        before, after = found.get(name), now.get(name)
        if name == _VALUES:
            if not _alike(before, after):
                return "other values in the rows"
        elif before != after:
            return f"{name}={after!r}, which was {before!r}"
    return None


def _form(array: NDArray[Any]) -> str:
    kind = "text" if array.dtype.kind in "OSU" else str(array.dtype)
    return f"{kind} {tuple(array.shape[1:])}"


def _values(rows: NDArray[Any]) -> int | list[float]:
    """Sums rows of real numbers up, each with weights; of anything else a checksum."""
    if "float" in str(rows.dtype):
        flat = rows.reshape(len(rows), -1).astype(np.float64)
        return [float(v) for v in flat @ np.cos(np.arange(flat.shape[1]))]
    if rows.dtype.kind in "OSU":
        texts = [
            v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in rows.flat
        ]
        return crc32("\0".join(texts).encode("utf-8", "replace"))
    return crc32(np.ascontiguousarray(rows).tobytes())


def _alike(before: Any, after: Any) -> bool:
    if isinstance(before, list) and isinstance(after, list):
        if before and all(isinstance(v, float) for v in [*before, *after]):
            return len(before) == len(after) and _close(np.array(before), np.array(after))
        return len(before) == len(after) and all(map(_alike, before, after))
    return bool(before == after)


def _close(before: NDArray[Any], after: NDArray[Any]) -> bool:
    finite = np.abs(before[np.isfinite(before)])
    size = float(finite.max()) if finite.size else 0.0
    return bool(np.allclose(after, before, 0.0, _TOLERANCE * size, equal_nan=True))
