"""What a step on several devices costs: the gradients have to be added up.

A ring of n devices that adds up b bytes sends 2 (n - 1) / n b bytes over each of its links, in
2 (n - 1) turns that each wait for the link. What is sent while gradients are still being computed
costs nothing: that share is the overlap.

    seconds of a step = seconds to compute + (1 - overlap) * seconds to add up
    seconds to add up = 2 (n - 1) * latency + 2 (n - 1) / n * bytes / bandwidth

Of several nodes of k devices each node adds up inside, then each device its k-th part with those of
its place in the other nodes, and then the nodes inside again: two rings, of k and of n / k.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Link:
    """What connects two devices: seconds of waiting a turn, bytes a second."""

    latency: float
    bandwidth: float

    def ring(self, devices: int, size: float) -> float:
        """Returns the seconds that a ring takes to add up `size` bytes of each device.

        Example:
        >>> Link(latency=0.5, bandwidth=10.0).ring(2, 40.0)
        5.0
        """
        turns = 2 * (devices - 1)
        return turns * self.latency + turns / devices * size / self.bandwidth


@dataclass(frozen=True)
class Machine:
    """Devices in nodes.

    Attributes:
        flops: Operations a second that a device does in training.
        inside: The link between devices of a node.
        outside: That between nodes, of each device.
        node: Devices a node.
    """

    flops: float
    inside: Link
    outside: Link
    node: int

    def seconds_to_add_up(self, devices: int, size: float) -> float:
        """Returns the seconds until every device has the sum."""
        if devices <= self.node:
            return self.inside.ring(devices, size)
        nodes = devices // self.node
        own = size / self.node
        return self.inside.ring(self.node, size) + self.outside.ring(nodes, own)

    def seconds_of_a_step(
        self, devices: int, operations: float, size: float, overlap: float
    ) -> float:
        """Returns the seconds of a step.

        Args:
            devices: How many share it.
            operations: Of each device.
            size: Bytes of the gradients.
            overlap: Share of the adding up that is hidden behind the computation.
        """
        waiting = (1 - overlap) * self.seconds_to_add_up(devices, size)
        return operations / self.flops + waiting


def fit_link(sizes: Sequence[float], seconds: Sequence[float], devices: int) -> Link:
    """Finds the link that explains measured seconds of adding up, by least squares of the ratio.

    Example:
    >>> link = Link(1e-4, 1e9)
    >>> found = fit_link([1e3, 1e6, 1e8], [link.ring(2, s) for s in (1e3, 1e6, 1e8)], 2)
    >>> round(found.latency, 6), round(found.bandwidth / 1e9, 3)
    (0.0001, 1.0)
    """
    turns = 2 * (devices - 1)
    terms = np.stack([np.full(len(sizes), turns), np.asarray(sizes) * turns / devices], axis=1)
    terms = terms / np.asarray(seconds)[:, None]
    (latency, inverse), *_ = np.linalg.lstsq(terms, np.ones(len(sizes)), rcond=None)
    return Link(float(max(latency, 0.0)), float(1 / inverse))
