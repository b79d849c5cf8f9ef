"""Sums over the replicas that share one training step."""

from typing import Protocol

from rdrop_tf._typing import Tensor


class Replicas(Protocol):
    """The replicas of a step, as one of them sees them."""

    @property
    def count(self) -> int:
        """Number of replicas in step with each other."""

    def sum(self, x: Tensor) -> Tensor:
        """Adds up a tensor over all replicas; every replica gets the sum."""


class OneReplica:
    """A step that runs on one device, or on an array sharded over many (JAX)."""

    count = 1

    def sum(self, x: Tensor) -> Tensor:
        """Returns the tensor: there is nothing to add."""
        return x
