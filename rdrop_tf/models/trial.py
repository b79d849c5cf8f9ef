"""A trial of one call: does it draw noise, and do two runs of it agree?"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from rdrop_tf._keras import get_mask, mask_to
from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.layers.saved_model_seeds import draws
from rdrop_tf.models.draws import listen
from rdrop_tf.models.graphs import Call
from rdrop_tf.models.made_up import weights_like
from rdrop_tf.models.traced_steps import unregister

# Two runs of the same arithmetic may be rounded apart on a GPU, relative to the largest value.
_TOLERANCE = {"float64": 1e-5, "float32": 1e-5, "float16": 1e-2, "bfloat16": 5e-2}


def trial(operation: Any, call: Call) -> tuple[str | None, Nested]:
    """Says why a call is stochastic, None if it is not, and returns its outputs.

    Variables of the operation have made-up values, and what it assigns to them lasts from the
    first run to the second only: a layer that counts its calls is found too. What its graph
    gives away is not run at all, and has None as its outputs.

    Raises:
        Exception: Whatever the call raises; also if nothing but NaN or inf comes out of it.
    """
    is_layer = isinstance(operation, keras.layers.Layer)
    values = weights_like(operation) if is_layer else []
    look = {"tensorflow": _seen_in_graph, "jax": _seen_in_jaxpr}.get(keras.backend.backend())
    reason = look(call, values) if look is not None else None
    if reason is not None:
        return reason, None
    masks = _masks_of(call)
    with listen() as heard, keras.StatelessScope(values):
        first = call.run()
        masks_after = _masks_of(call)
        _restore(masks)
        agree = _agree(first, call.run())
        _restore(masks_after)
    if heard.fresh or heard.frozen:
        return "draws noise", first
    return None if agree else "gives other values in a second run", first


def _masks_of(call: Call) -> list[tuple[Tensor, Tensor | None]]:
    return [(x, get_mask(x)) for x in call.tensors]


def _restore(masks: list[tuple[Tensor, Tensor | None]]) -> None:
    """Puts masks back: attention takes them from its inputs."""
    for x, mask in masks:
        mask_to(x, mask)


def _seen_in_graph(call: Call, values: list[tuple[keras.Variable, Tensor]]) -> str | None:
    """Looks for random operations of TensorFlow, and others that are more than arithmetic."""
    import tensorflow as tf

    def run() -> Nested:
        with keras.StatelessScope(values):
            return [x for x in tree.flatten(call.run()) if x is not None]

    masks = _masks_of(call)
    with listen() as heard:
        graph = tf.function(run, autograph=False).get_concrete_function().graph
    _restore(masks)
    unregister(lambda registered: registered is graph)
    read = graph.as_graph_def()
    nodes = [*read.node, *(node for f in read.library.function for node in f.node_def)]
    if heard.fresh or heard.frozen or any(draws(node) for node in nodes):
        return "draws noise"
    if any("Assign" in node.op for node in nodes):
        return "assigns to a variable of TensorFlow"
    if any("PyFunc" in node.op for node in nodes):
        return "runs Python code in a TensorFlow graph"
    return None


def _seen_in_jaxpr(call: Call, values: list[tuple[keras.Variable, Tensor]]) -> str | None:
    """Looks for random operations of JAX, and for calls back to Python."""
    import jax

    def run() -> Nested:
        with keras.StatelessScope(values):
            return [x for x in tree.flatten(call.run()) if x is not None]

    masks, names = _masks_of(call), set()
    # What cannot be traced (Keras' global generator, for one) is judged by what is heard and by
    # running it.
    with listen() as heard, suppress(Exception):
        names |= set(_primitives(jax.make_jaxpr(run)().jaxpr))
    _restore(masks)
    if heard.fresh or heard.frozen or any(n.startswith(_RANDOM_OF_JAX) for n in names):
        return "draws noise"
    if names & {"pure_callback", "io_callback"}:
        return "calls Python code from a compiled program"
    return None


_RANDOM_OF_JAX = ("random_", "threefry", "rng_")


def _primitives(program: Any) -> Iterator[str]:
    """Yields the names of a program's operations, those of programs inside it too."""
    for equation in program.eqns:
        yield str(equation.primitive.name)
        for part in tree.flatten(list(equation.params.values())):
            inner = getattr(part, "jaxpr", part)
            if hasattr(inner, "eqns"):
                yield from _primitives(inner)


def _agree(first: Nested, second: Nested) -> bool:
    pairs = zip(tree.flatten(first), tree.flatten(second), strict=True)
    present = [(a, b) for a, b in pairs if a is not None]
    arrays = [(_to_numpy(a), _to_numpy(b)) for a, b in present]
    floats = [a for a, _ in arrays if a.dtype.kind == "f"]
    if floats and not any(np.isfinite(a).any() for a in floats):
        raise ArithmeticError("made-up data give no finite value")
    tolerances = [_TOLERANCE.get(keras.backend.standardize_dtype(a.dtype), 0.0) for a, _ in present]
    return all(_close(a, b, t) for (a, b), t in zip(arrays, tolerances, strict=True))


def _close(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    finite = np.abs(a[np.isfinite(a)])
    scale = float(finite.max()) if finite.size else 0.0
    return bool(np.allclose(a, b, rtol=0.0, atol=tolerance * scale, equal_nan=True))


def _to_numpy(x: Tensor) -> np.ndarray:
    array = np.asarray(ops.convert_to_numpy(x))
    return array.astype("float64") if "float" in str(array.dtype) else array
