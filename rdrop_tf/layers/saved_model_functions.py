"""The functions of a loaded SavedModel that run in training and in inference."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from rdrop_tf._typing import Nested
from rdrop_tf.layers.saved_model_seeds import draws


@dataclass(frozen=True)
class Functions:
    """What a layer calls.

    Attributes:
        inference: Computes outputs from inputs, without noise.
        training: The same with noise; None where the SavedModel has no such function.
        concrete: The graphs behind them, one a signature.
    """

    inference: Callable[[Nested], Nested]
    training: Callable[[Nested], Nested] | None
    concrete: list[Any]

    @property
    def draws_noise(self) -> bool:
        """Whether any of the graphs draws random numbers."""
        graphs = [function.graph.as_graph_def() for function in self.concrete]
        return any(draws(node) for graph in graphs for node in _nodes(graph))

    @property
    def variables(self) -> list[Any]:
        """The variables that the functions use, each once."""
        used = [v for function in self.concrete for v in function.variables]
        return list({id(v): v for v in used}.values())


def find_functions(
    loaded: Any, endpoint: str, training_endpoint: str | None, where: str
) -> Functions:
    """Finds the functions of a loaded SavedModel.

    Args:
        loaded: What `tf.saved_model.load` returned.
        endpoint: Name of the function for inference, and for training where it has an
            argument `training`.
        training_endpoint: Name of the function for training, None for the same.
        where: The folder, for errors.

    Raises:
        ValueError: If there is no such function.
    """
    function = _function(loaded, endpoint, where)
    concrete = list(function.concrete_functions)
    inference = _with_training(function, False)
    if training_endpoint is not None:
        other = _function(loaded, training_endpoint, where)
        return Functions(
            inference, _with_training(other, True), [*concrete, *other.concrete_functions]
        )
    knows_training = any(_serves_training(function, graph) for graph in concrete)
    training = _with_training(function, True) if knows_training else None
    return Functions(inference, training, concrete)


def _function(loaded: Any, name: str, where: str) -> Any:
    function = getattr(loaded, name, None)
    if hasattr(function, "concrete_functions"):
        return function
    named = [n for n in dir(loaded) if hasattr(getattr(loaded, n, None), "concrete_functions")]
    served = ", ".join(repr(n) for n in named if n != "__call__") or "no other function"
    if name == "__call__":
        raise ValueError(
            "A SavedModel must have a function `__call__(inputs, training)` to be trained as a "
            f"layer. Received: '{where}' without `__call__`, as Keras 3's `model.export` writes "
            f"it, with {served}; export it with a second endpoint that calls the model with "
            "`training=True`, and name both here as `endpoint` and `training_endpoint` (or in "
            "keras.layers.TFSMLayer as `call_endpoint` and `call_training_endpoint`)"
        )
    raise ValueError(
        "The endpoints of a SavedModelLayer must be functions of the SavedModel. "
        f"Received: {name!r} for '{where}', which has {served}"
    )


def _takes_training(function: Any) -> bool:
    return "training" in function.function_type.parameters


def _with_training(function: Any, training: bool) -> Callable[[Nested], Nested]:
    return partial(function, training=training) if _takes_training(function) else function


def _serves_training(function: Any, concrete: Any) -> bool:
    """Whether a graph was traced for training=True, or takes `training` as a tensor."""
    if not _takes_training(function):
        return False
    position = list(function.function_type.parameters).index("training")
    args, kwargs = concrete.structured_input_signature
    value = args[position] if position < len(args) else kwargs.get("training", False)
    return value is not None and (not isinstance(value, bool) or value)


def _nodes(graph: Any) -> Iterator[Any]:
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def
