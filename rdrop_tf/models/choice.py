"""Which way to make the passes: what was asked for, or what "auto" picks, and why."""

from dataclasses import dataclass

import keras

from rdrop_tf.models.cost import Cost, cost_of
from rdrop_tf.models.frontier import Frontier, frontier_of, possible_frontier_of
from rdrop_tf.models.graphs import why_no_graph, wrapped

# Of a plain step's operations. What less than this saves disappears in the noise of a timing
# (docs/cost.md), and such models need not be looked at any further.
LEAST_SHARE = 0.05


@dataclass(frozen=True)
class Choice:
    """How the passes are made.

    Attributes:
        forward: "two_calls", "concat" or "shared_prefix".
        reason: Why, as a sentence without its full stop.
        frontier: Where the prefix ends, None where that is not known or of no use.
        cost: What a step is estimated to cost, None where there is no graph.
    """

    forward: str
    reason: str
    frontier: Frontier | None = None
    cost: Cost | None = None


def choose(model: keras.Model, forward: str, views: int = 1) -> Choice:
    """Returns how the passes of a model are made.

    Raises:
        ValueError: If "shared_prefix" was asked for and the model or the views rule it out.
    """
    if forward == "auto":
        return _auto(model, views)
    if forward != "shared_prefix":
        return Choice(forward, "asked for", *_what_could_be_shared(model, views))
    check_can_share(model, views)
    return Choice(forward, "asked for", *_what_is_shared(model))


def check_can_share(model: keras.Model, views: int = 1) -> None:
    """Raises unless passes of a model can share a prefix.

    Raises:
        ValueError: With the reason.
    """
    why_not = _why_not(model, views)
    if why_not is not None:
        raise ValueError(
            "forward='shared_prefix' needs a functional or sequential model, and the same input "
            f"for all passes. Received: {why_not}; use forward='auto' or 'two_calls'"
        )


def is_unbuilt(model: keras.Model) -> bool:
    """Whether a model will have a graph once it is built."""
    model = wrapped(model)
    return isinstance(model, keras.Sequential) and not model.built


def _auto(model: keras.Model, views: int) -> Choice:
    why_not = _why_not(model, views)
    if why_not is not None:
        return Choice("two_calls", f"no prefix can be shared: {why_not}")
    # Layers that are known to draw rule most models out, before anything is run.
    frontier = possible_frontier_of(model)
    cost = cost_of(model, frontier)
    if cost.step_share >= LEAST_SHARE:
        frontier, cost = _what_is_shared(model)
    share = f"{cost.step_share:.0%} of a plain step's operations come before the first noise"
    if cost.step_share < LEAST_SHARE:
        return Choice("two_calls", f"{share}, less than {LEAST_SHARE:.0%}", frontier, cost)
    return Choice("shared_prefix", f"{share}, at least {LEAST_SHARE:.0%}", frontier, cost)


def _why_not(model: keras.Model, views: int) -> str | None:
    if views > 1:
        return f"views={views}, an input of its own for each pass"
    return why_no_graph(wrapped(model))


def _what_is_shared(model: keras.Model) -> tuple[Frontier, Cost]:
    frontier = frontier_of(model)
    return frontier, cost_of(model, frontier)


def _what_could_be_shared(model: keras.Model, views: int) -> tuple[Frontier | None, Cost | None]:
    return (None, None) if _why_not(model, views) else _what_is_shared(model)
