"""Packages that only some parts need."""

from importlib.util import find_spec


def require(module: str, *, extra: str) -> None:
    """Raises unless an optional package is installed.

    Args:
        module: The module's name.
        extra: The extra of this package that installs it.

    Raises:
        ImportError: If it is missing; the text holds the line that installs it.

    Example:
    >>> require("numpy", extra="hub")
    """
    if find_spec(module) is None:
        raise ImportError(f'{module} is missing: pip install "rdrop_tf[{extra}]"')
