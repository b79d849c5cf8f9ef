"""An embedding found again by its name, in a model that is made from a config."""

from collections.abc import Iterator
from typing import Any

import keras


def namesake_before(x: Any, embedding: Any) -> Any:
    """Returns the embedding of the same name and shape that a symbolic tensor comes from, or None.

    Args:
        x: A tensor; None is returned for any but a symbolic one.
        embedding: What is looked for: itself, or else its only namesake, also inside of nested
            models. None is returned where there are several.
    """
    if not isinstance(x, keras.KerasTensor):
        return None
    found = {
        id(layer): layer
        for operation in _operations_before(x)
        if isinstance(operation, keras.layers.Layer)
        for layer in operation._flatten_layers()
        if _is_namesake(layer, embedding)
    }
    if id(embedding) in found:
        return embedding
    return next(iter(found.values())) if len(found) == 1 else None


def _is_namesake(layer: Any, embedding: Any) -> bool:
    return (
        isinstance(layer, keras.layers.Embedding)
        and layer.name == embedding.name
        and (layer.input_dim, layer.output_dim) == (embedding.input_dim, embedding.output_dim)
    )


def _operations_before(x: Any) -> Iterator[Any]:
    """Yields the operations that lead to a symbolic tensor, each once."""
    seen: set[int] = set()
    waiting = [x]
    while waiting:
        history = getattr(waiting.pop(), "_keras_history", None)
        if history is None or id(history.operation) in seen:
            continue
        seen.add(id(history.operation))
        yield history.operation
        for node in history.operation._inbound_nodes:
            waiting += node.input_tensors
