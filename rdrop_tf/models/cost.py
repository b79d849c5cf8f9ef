"""What a step is estimated to cost, in multiples of a plain step.

A backward pass is taken to cost twice a forward pass; nothing where nothing is trained. With
P the operations of the prefix forward, R those of the rest, and k passes:

    plain step           p P + 3 R          p = 3, or 1 for a prefix without trained weights
    two_calls, concat    k (p P + 3 R)
    shared_prefix        p P + 3 k R

The loss, the divergence and the optimizer are left out.
"""

from dataclasses import dataclass

import keras

from rdrop_tf.models.flops import flops_of
from rdrop_tf.models.frontier import Frontier
from rdrop_tf.models.graphs import graph_of, leaves_of


@dataclass(frozen=True)
class Cost:
    """Estimated operations of a step, for one example.

    Attributes:
        prefix: Of the prefix, forward.
        rest: Of what comes after it, forward.
        trains_prefix: Whether the prefix has weights that are trained.
    """

    prefix: float
    rest: float
    trains_prefix: bool

    @property
    def forward_share(self) -> float:
        """Share of the prefix in a forward pass."""
        return self.prefix / ((self.prefix + self.rest) or 1.0)

    @property
    def step_share(self) -> float:
        """Share of the prefix in a plain step."""
        prefix = self.prefix * (3 if self.trains_prefix else 1)
        return prefix / ((prefix + 3 * self.rest) or 1.0)

    def multiple(self, passes: int, shared: bool) -> float:
        """Returns the cost of a step with several passes, in plain steps."""
        return passes - (passes - 1) * self.step_share if shared else float(passes)


def cost_of(model: keras.Model, frontier: Frontier) -> Cost:
    """Estimates what the steps of a model that has a graph cost."""
    prefix = rest = 0.0
    trains = False
    for key, _, node in leaves_of(graph_of(model)):
        flops = flops_of(node)
        if key in frontier.prefix:
            prefix += flops
            trains |= bool(getattr(node.operation, "trainable_variables", ()))
        else:
            rest += flops
    return Cost(prefix, rest, trains)
