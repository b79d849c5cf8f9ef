"""What surrounds a training step."""

from rdrop_tf._preemption import Preempted
from rdrop_tf.models.skip_non_finite import SkipNonFinite
from rdrop_tf.training.average_weights import AverageWeights
from rdrop_tf.training.cluster import Cluster, find_cluster
from rdrop_tf.training.exact_resume import ExactResume
from rdrop_tf.training.optimizers import make_optimizer
from rdrop_tf.training.schedules import InverseSquareRoot, WarmupLinearDecay
from rdrop_tf.training.stop_at_non_finite import StopAtNonFinite
from rdrop_tf.training.strategies import STRATEGIES, TrainingStrategy, make_strategy

__all__ = [
    "STRATEGIES",
    "AverageWeights",
    "Cluster",
    "ExactResume",
    "InverseSquareRoot",
    "Preempted",
    "SkipNonFinite",
    "StopAtNonFinite",
    "TrainingStrategy",
    "WarmupLinearDecay",
    "find_cluster",
    "make_optimizer",
    "make_strategy",
]
