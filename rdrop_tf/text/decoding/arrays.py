"""Choosing rows and values, the same on every backend."""

import keras
from keras import ops

from rdrop_tf._typing import Nested, Tensor

# Widths of the blocks that a search among many classes may be cut into, the quickest first, and
# how many times fewer values must be left for it to be worth while.
BLOCKS = (32, 50, 40, 25, 64, 20, 16)
LEAST_GAIN = 4


def check_source(source: Tensor) -> Tensor:
    """Returns the sources as an int32 tensor if they have the two axes they need."""
    source = ops.convert_to_tensor(source)
    kind = keras.backend.standardize_dtype(source.dtype)
    if len(source.shape) != 2 or "int" not in kind:
        raise ValueError(
            "`source` must hold token ids, integers of shape (sentences, tokens). "
            f"Received: {kind} of shape {tuple(source.shape)}"
        )
    return ops.cast(source, "int32")


def top_k(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Returns the k largest values of each row and their places; of equals, the first first."""
    if keras.backend.backend() == "torch":
        import torch

        # Torch's own `topk` returns equals in any order.
        values, places = torch.sort(x, dim=-1, descending=True, stable=True)
        return values[..., :k], ops.cast(places[..., :k], "int32")
    values, places = ops.top_k(x, k)
    return values, ops.cast(places, "int32")


def top_k_of_sums(x: Tensor, less: Tensor, more: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the k largest of more + (x - less) of each row, without making all the sums.

    They lie in the k blocks of the largest maxima, equals by place: for a value in another block
    there are k maxima that go before it. Maxima take one quick pass over x; what is added up and
    searched then is one value a block, and k blocks.

    Args:
        x: Shape (rows, m, classes).
        less: What is taken from all classes, (rows, m); first, as it may be as large as they are.
        more: What is added then, (rows, m); -inf for none of them, whatever is in x.
        k: How many, m · classes at most.

    Returns:
        (sums, m, classes): the sums, largest first, of equals those of the first m and then of the
        first class first; and where they are, int32. All of shape (rows, k).
    """
    m, classes = x.shape[1:]
    width = next((w for w in BLOCKS if classes % w == 0), 0)
    if not width or m * classes < LEAST_GAIN * k * width:
        values, places = top_k(ops.reshape(sums(x, less, more), (-1, m * classes)), k)
        return values, places // classes, places % classes
    each = classes // width
    blocks = ops.reshape(x, (-1, m * each, width))
    maxima = ops.reshape(ops.max(blocks, axis=2), (-1, m, each))
    _, places = top_k(ops.reshape(sums(maxima, less, more), (-1, m * each)), k)
    # Of equals, those of the first block must stay the first.
    places = ops.sort(places, axis=1)
    its = places // each
    found = sums(pick(blocks, places), pick(less, its), pick(more, its))
    values, inside = top_k(ops.reshape(found, (-1, k * width)), k)
    places = pick(places, inside // width)
    return values, places // each, places % each * width + inside % width


def sums(x: Tensor, less: Tensor, more: Tensor) -> Tensor:
    """Returns more + (x - less) for x (..., n), and -inf where `more` (...) is."""
    less, more = ops.expand_dims(less, -1), ops.expand_dims(more, -1)
    return ops.where(ops.equal(more, -float("inf")), -float("inf"), more + (x - less))


def pick(x: Tensor, places: Tensor) -> Tensor:
    """Picks along the second axis: x (n, m, ...) at places (n, k) gives (n, k, ...)."""
    starts = ops.arange(ops.shape(x)[0], dtype="int32") * x.shape[1]
    rows = ops.reshape(x, (-1, *x.shape[2:]))
    return ops.take(rows, places + ops.expand_dims(starts, 1), axis=0)


def write(history: Tensor, position: Tensor, tokens: Tensor) -> Tensor:
    """Puts tokens (...) at one position of histories (..., length)."""
    here = ops.equal(ops.arange(history.shape[-1], dtype="int32"), position)
    return ops.where(here, ops.expand_dims(tokens, -1), history)


def any_at(columns: Tensor, values: Tensor, like: Tensor) -> Tensor:
    """Puts bools (rows, n) at columns (rows, n): True where any of those that meet there is."""
    rows, classes = ops.shape(like)[0], like.shape[1]
    values = ops.cast(values, "int32")
    if keras.backend.backend() == "torch":
        # There `ops.scatter` is a loop in Python.
        zeros = ops.zeros((rows, classes), "int32")
        return zeros.scatter_add(1, ops.cast(columns, "int64"), values) > 0
    starts = ops.expand_dims(ops.arange(rows, dtype="int32") * classes, 1)
    places = ops.reshape(columns + starts, (-1, 1))
    # `scatter` adds up what comes to the same place.
    counts = ops.scatter(places, ops.reshape(values, (-1,)), (rows * classes,))
    return ops.reshape(counts > 0, (rows, classes))


def repeat_rows(nested: Nested, times: int) -> Nested:
    """Repeats each row of nested tensors, copies side by side."""
    return keras.tree.map_structure(lambda x: ops.repeat(x, times, axis=0), nested)


def take_rows(nested: Nested, rows: Tensor) -> Nested:
    """Takes rows of nested tensors."""
    return keras.tree.map_structure(lambda x: ops.take(x, rows, axis=0), nested)
