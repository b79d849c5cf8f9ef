"""What a step is estimated to cost, in multiples of a plain step.

A backward pass is taken to cost twice a forward pass; no gradient goes through what comes before
the first trained weights. With P and R the operations of prefix and rest forward, p and r their
shares that have a backward pass, and k passes:

    plain step           (1 + 2 p) P + (1 + 2 r) R
    two_calls, concat    k times that
    shared_prefix        (1 + 2 p) P + k (1 + 2 r) R

The loss, the divergence and the optimizer are left out.
"""

from dataclasses import dataclass
from typing import Any

import keras

from rdrop_tf.models.flops import flops_of
from rdrop_tf.models.frontier import Frontier, nodes_before
from rdrop_tf.models.graphs import graph_of, leaves_of


@dataclass(frozen=True)
class Cost:
    """Estimated operations of a step, for one example.

    Attributes:
        prefix: Of the prefix, forward.
        rest: Of what comes after it, forward.
        prefix_backward: Of the part of the prefix through which gradients go, forward.
        rest_backward: The same of what comes after it.
    """

    prefix: float
    rest: float
    prefix_backward: float
    rest_backward: float

    @property
    def forward_share(self) -> float:
        """Share of the prefix in a forward pass."""
        return self.prefix / ((self.prefix + self.rest) or 1.0)

    @property
    def step_share(self) -> float:
        """Share of the prefix in a plain step."""
        prefix = self.prefix + 2 * self.prefix_backward
        return prefix / ((prefix + self.rest + 2 * self.rest_backward) or 1.0)

    def multiple(self, passes: int, shared: bool) -> float:
        """Returns the cost of a step with several passes, in plain steps."""
        return passes - (passes - 1) * self.step_share if shared else float(passes)


def cost_of(model: keras.Model, frontier: Frontier) -> Cost:
    """Estimates what the steps of a model that has a graph cost."""
    graph = graph_of(model)
    forward, backward = {True: 0.0, False: 0.0}, {True: 0.0, False: 0.0}
    without_gradient = nodes_before(graph, lambda node: _is_trained(node.operation))
    for key, _, node in leaves_of(graph):
        in_prefix, flops = key in frontier.prefix, flops_of(node)
        forward[in_prefix] += flops
        backward[in_prefix] += 0.0 if key in without_gradient else flops
    return Cost(forward[True], forward[False], backward[True], backward[False])


def _is_trained(operation: Any) -> bool:
    return bool(getattr(operation, "trainable_variables", ()))
