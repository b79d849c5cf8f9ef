"""What surrounds a training step."""

from rdrop_tf.training.optimizers import make_optimizer
from rdrop_tf.training.schedules import WarmupLinearDecay

__all__ = ["WarmupLinearDecay", "make_optimizer"]
