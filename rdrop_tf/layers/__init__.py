"""Layers that a user's model may hold."""

from rdrop_tf.layers.saved_model import SavedModelLayer

__all__ = ["SavedModelLayer"]
