"""Translation: sentences of one language into another."""

from rdrop_tf.tasks.translation.task import Translation

__all__ = ["Translation"]
