"""Text in, text out: tokens, batches of them, sequence models and how they are decoded."""

from rdrop_tf.text.batches import TokenBatches
from rdrop_tf.text.parallel import read_parallel
from rdrop_tf.text.parallel_text import ParallelText
from rdrop_tf.text.serving import export_translator
from rdrop_tf.text.shard_batches import ShardTokenBatches
from rdrop_tf.text.subwords import Subwords
from rdrop_tf.text.tfds_pairs import read_tfds
from rdrop_tf.text.transformer import Transformer

__all__ = [
    "ParallelText",
    "ShardTokenBatches",
    "Subwords",
    "TokenBatches",
    "Transformer",
    "export_translator",
    "read_parallel",
    "read_tfds",
]
