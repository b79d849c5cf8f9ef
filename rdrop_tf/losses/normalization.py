"""The scale of the loss: ordinary training's, or the paper's."""

from rdrop_tf._typing import Tensor

NORMALIZATIONS = ("passes", "paper")


def factors(alpha: Tensor | float, normalize: str, passes: int) -> tuple[float, Tensor | float]:
    """Returns what the task losses of all passes and their divergence are multiplied by.

    Args:
        alpha: In the paper's units.
        normalize: "passes" or "paper".
        passes: Number of passes.

    Returns:
        The factor of each pass' task loss, and that of the divergence.

    Example:
    >>> factors(5.0, "passes", 2), factors(5.0, "paper", 2)
    ((0.5, 2.5), (1.0, 5.0))
    """
    if normalize == "passes":
        return 1.0 / passes, alpha / 2
    return 1.0, alpha
