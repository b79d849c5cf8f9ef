"""How a Keras model gets its two passes."""

from rdrop_tf.models.rdrop_model import RDropModel
from rdrop_tf.models.watch import RDropWarning

__all__ = ["RDropModel", "RDropWarning"]
