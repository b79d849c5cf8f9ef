"""Image classification: reading, augmentation, models and pictures."""

from rdrop_tf.tasks.images.augment import Augmentation
from rdrop_tf.tasks.images.folders import read_folders
from rdrop_tf.tasks.images.image_data import ImageData
from rdrop_tf.tasks.images.labels import check_labels
from rdrop_tf.tasks.images.npz import read_npz
from rdrop_tf.tasks.images.reliability import plot_reliability
from rdrop_tf.tasks.images.tfds import read_tfds
from rdrop_tf.tasks.images.wide_resnet import wide_resnet

__all__ = [
    "Augmentation",
    "ImageData",
    "check_labels",
    "plot_reliability",
    "read_folders",
    "read_npz",
    "read_tfds",
    "wide_resnet",
]
