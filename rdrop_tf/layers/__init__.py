"""Layers that a user's model may hold."""

from rdrop_tf.layers.saved_model import SavedModelLayer
from rdrop_tf.layers.vocabulary_head import VocabularyHead

__all__ = ["SavedModelLayer", "VocabularyHead"]
