"""Names for what the backends hand around."""

from typing import Any, TypeAlias

# A tensor of the active Keras backend, or whatever `keras.ops` turns into one.
Tensor: TypeAlias = Any
# Tensors in dicts, lists and tuples, as `keras.tree` walks them.
Nested: TypeAlias = Any
