"""Training data that can be begun anywhere: functions of (seed, epoch, position)."""

from rdrop_tf.data.array_epochs import ArrayEpochs
from rdrop_tf.data.by_epochs import epoch_data
from rdrop_tf.data.dataset_epochs import DatasetEpochs
from rdrop_tf.data.epoch_data import EpochData, Share
from rdrop_tf.data.facts import facts_of_arrays
from rdrop_tf.data.numbered_epochs import NumberedEpochs, SimilarSizes
from rdrop_tf.data.record_files import RecordFiles, write_records
from rdrop_tf.data.shards import Shards, write_shards
from rdrop_tf.data.untuned import untuned

__all__ = [
    "ArrayEpochs",
    "DatasetEpochs",
    "EpochData",
    "NumberedEpochs",
    "RecordFiles",
    "Shards",
    "Share",
    "SimilarSizes",
    "epoch_data",
    "facts_of_arrays",
    "untuned",
    "write_records",
    "write_shards",
]
