"""What surrounds a training step."""

from rdrop_tf.training.average_weights import AverageWeights
from rdrop_tf.training.exact_resume import ExactResume, Preempted
from rdrop_tf.training.optimizers import make_optimizer
from rdrop_tf.training.schedules import InverseSquareRoot, WarmupLinearDecay

__all__ = [
    "AverageWeights",
    "ExactResume",
    "InverseSquareRoot",
    "Preempted",
    "WarmupLinearDecay",
    "make_optimizer",
]
