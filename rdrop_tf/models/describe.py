"""What `RDropModel` does with a model, in words."""

from rdrop_tf.models.choice import Choice
from rdrop_tf.models.cost import Cost

# Names that are printed of a frontier with many layers.
_MOST = 6


def description(name: str, choice: Choice, *, passes: int, every: int, one_pass: bool) -> str:
    """Returns a few lines on how the passes are made, and what that costs.

    Args:
        name: Name of the wrapped model.
        choice: How the passes are made.
        passes: Number of passes.
        every: The divergence is computed on every so many steps.
        one_pass: Whether alpha is 0, so that steps are plain.
    """
    if one_pass:
        return f"'{name}': alpha is 0, every step is a plain step with one pass."
    lines = [f"'{name}': {passes} passes by forward='{choice.forward}' ({choice.reason})."]
    if choice.frontier is not None and choice.cost is not None:
        lines += [*_frontier(choice), _share(choice.cost)]
    lines.append(_cost(choice, passes, every))
    return "\n".join(lines)


def _frontier(choice: Choice) -> list[str]:
    stochastic = choice.frontier.stochastic if choice.frontier is not None else ()
    if not stochastic:
        return ["First noise: none found; all passes of this model are the same."]
    lines = [f"  {name}: {reason}" for name, reason in stochastic[:_MOST]]
    left = len(stochastic) - _MOST
    return ["First noise:", *lines, *([f"  and {left} more"] if left > 0 else [])]


def _share(cost: Cost) -> str:
    frozen = ", none of its weights trained" if cost.prefix and not cost.prefix_backward else ""
    return (
        f"Before it: {cost.forward_share:.0%} of the forward operations{frozen}, "
        f"{cost.step_share:.0%} of a plain step's."
    )


def _cost(choice: Choice, passes: int, every: int) -> str:
    shared = choice.forward == "shared_prefix"
    full = float(passes)
    if choice.cost is not None:
        full = choice.cost.multiple(passes, shared)
    mean = (full + every - 1) / every
    often = "" if every == 1 else f", every {every} steps; {mean:.2f} on average"
    return f"Estimated cost of a step: {full:.2f} times a plain step{often}."
