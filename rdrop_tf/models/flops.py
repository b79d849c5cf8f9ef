"""An estimate of the floating point operations of one node, forward, for one example."""

import math
from typing import Any

import keras
from keras import layers

from rdrop_tf.models.graphs import Node

# Stands for dimensions that are not known before the data are, such as a length.
UNKNOWN = 128

_CONTRACTIONS = ("Matmul", "Dot", "Tensordot")


def flops_of(node: Node) -> float:
    """Estimates the operations of a node: two for each multiply-add, one for each output.

    Kernels are applied at every position of the output, recurrent ones at every step of the
    input; attention adds two products of queries and keys. Looking up embeddings is free.
    Layers with a `call` of their own count as the layers inside them, applied at every
    position of their output.
    """
    outputs = sum(_size(x) for x in node.outputs)
    operation = node.operation
    if isinstance(operation, keras.layers.Layer):
        if isinstance(operation, layers.Embedding | layers.InputLayer):
            return 0.0
        return outputs + sum(_of_layer(layer, node) for layer in operation._flatten_layers())
    if type(operation).__name__ in _CONTRACTIONS:
        return outputs + 2 * outputs * _dims(node.input_tensors[0])[-1]
    if type(operation).__name__ == "Einsum":
        return outputs + 2.0 * _einsum_size(operation.subscripts, node.input_tensors)
    return outputs


def _of_layer(layer: Any, node: Node) -> float:
    """Estimates the products of one layer, without those of the layers inside it."""
    if isinstance(layer, layers.Embedding):
        return 0.0
    if isinstance(layer, layers.MultiHeadAttention | layers.GroupQueryAttention):
        queries, keys = _positions(node.outputs[0]), _positions(_longest(node))
        heads = getattr(layer, "num_heads", None) or layer.num_query_heads
        size = getattr(layer, "key_dim", None) or layer.head_dim
        return 4.0 * queries * keys * heads * size
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    kernels = sum(math.prod(v.shape) for v in own if _is_kernel(v))
    return 2.0 * kernels * _applications(node)


def _is_kernel(variable: Any) -> bool:
    """Whether a variable is multiplied with features; biases of attention have two axes too."""
    is_float = "float" in keras.backend.standardize_dtype(variable.dtype)
    return is_float and len(variable.shape) >= 2 and "bias" not in variable.name


def _applications(node: Node) -> int:
    """Returns how often the kernels of a node are applied."""
    steps = _recurrent_steps(node)
    if steps is not None:
        return steps
    if isinstance(node.operation, _TRANSPOSED):
        return _positions(node.input_tensors[0], node.operation.data_format)
    return max(_positions(x, getattr(node.operation, "data_format", None)) for x in node.outputs)


_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)


def _recurrent_steps(node: Node) -> int | None:
    if isinstance(node.operation, layers.RNN | layers.Bidirectional):
        return _dims(node.input_tensors[0])[1]
    return None


def _positions(x: Any, data_format: str | None = None) -> int:
    """Returns the number of places that hold a vector of features."""
    dims = _dims(x)
    return math.prod(dims[2:] if data_format == "channels_first" else dims[1:-1])


def _longest(node: Node) -> Any:
    return max(node.input_tensors, key=lambda x: _positions(x) if len(x.shape) > 2 else 0)


def _size(x: Any) -> int:
    return math.prod(_dims(x)[1:])


def _dims(x: Any) -> list[int]:
    return [UNKNOWN if size is None else int(size) for size in x.shape]


def _einsum_size(subscripts: str, tensors: list[Any]) -> int:
    """Multiplies the sizes of all letters but the batch's, which comes first."""
    sizes: dict[str, int] = {}
    for letters, x in zip(subscripts.split("->")[0].split(","), tensors, strict=False):
        if len(letters) == len(x.shape):
            sizes |= dict(zip(letters, _dims(x), strict=True))
    sizes.pop(subscripts[0], None)
    return math.prod(sizes.values())
