"""What every reader of images returns."""

from collections.abc import Sequence
from typing import NamedTuple

from rdrop_tf.tasks.parts import Part


class ImageData(NamedTuple):
    """Images and their classes, as their source parts them.

    A part is `Examples` (uint8 images (rows, height, width, channels), int32 classes (rows,))
    or, where that would not fit into memory, a `Stream` of such rows or `NumberedRows`.
    `class_names` are in the order of the class numbers, or None where the source has none.
    """

    train: Part
    test: Part
    class_names: Sequence[str] | None
