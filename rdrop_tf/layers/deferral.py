"""A scope in which vocabulary heads hand on hidden states in the place of logits.

A training step opens it around its calls of a model, finds the hidden states among the outputs
by what travels with them, and computes the loss from them.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from keras import ops

from rdrop_tf._keras import get_attached, set_attached
from rdrop_tf._typing import Tensor
from rdrop_tf.losses.projection import Projection

_NAME = "_rdrop_projection"


@dataclass
class Deferral:
    """What was deferred inside a scope; the list keeps the tensors, and so their ids, alive."""

    hidden: list[Tensor] = field(default_factory=list)


class _InThread(threading.local):
    """Replicas are traced by threads that take turns."""

    scope: Deferral | None = None


_in_thread = _InThread()


@contextmanager
def deferring() -> Iterator[Deferral]:
    """Opens the scope for this thread."""
    outer, _in_thread.scope = _in_thread.scope, Deferral()
    try:
        yield _in_thread.scope
    finally:
        _in_thread.scope = outer


def is_deferring() -> bool:
    """Whether a scope is open in this thread."""
    return _in_thread.scope is not None


def defer(hidden: Tensor, projection: Projection) -> Tensor:
    """Returns the hidden states as a tensor of their own, with the projection attached."""
    own = copied(hidden)
    set_attached(own, _NAME, projection)
    _in_thread.scope.hidden.append(own)  # type: ignore[union-attr]
    return own


def copied(x: Tensor) -> Tensor:
    """Returns another tensor of the same values: a model may put out the hidden states too."""
    return ops.multiply(x, ops.ones((), x.dtype))


def deferred_projection(output: Tensor) -> Projection | None:
    """Returns the projection that an output still lacks, None for an output that is whole."""
    found: Projection | None = get_attached(output, _NAME)
    return found


def keep_deferred(output: Tensor, projection: Projection) -> None:
    """Attaches a projection to a part of an output that lacked it."""
    set_attached(output, _NAME, projection)
