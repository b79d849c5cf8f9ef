"""Images in memory, stretched to one size while they are used."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdrop_tf._optional import require
from rdrop_tf.tasks.images.decode import in_parallel, stretch
from rdrop_tf.tasks.parts import Examples, NumberedRows, Part


def resized(part: Part, image_size: int | None) -> Part:
    """Stretches the images of a part to a square, batch by batch and in parallel.

    Images of CIFAR at 384 by 384 pixels would take 144 times the memory, so that only those of
    the batches that are under way are held.

    Args:
        part: The images. What is no array is of the right size from where it was read.
        image_size: Rows and columns of the result; None to leave them.

    Returns:
        The part itself where its images are of that size.

    Example:
    >>> part = resized(Examples(np.zeros((2, 3, 5, 1), "uint8"), np.arange(2)), 4)
    >>> [x.shape for x, y in part.batched(2)]
    [TensorShape([2, 4, 4, 1])]
    """
    if not isinstance(part, Examples) or image_size is None:
        return part
    if part.x.shape[1:3] == (image_size, image_size):
        return part
    require("tensorflow", extra="data")
    require("PIL", extra="data")
    return NumberedRows(_Reader(part, image_size), part.rows)


@dataclass(frozen=True)
class _Reader:
    """Turns numbers of rows into a batch; traced by `tf.data`."""

    part: Examples
    image_size: int

    def __call__(self, numbers: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        images = tf.numpy_function(self._load, [numbers], tf.uint8, stateful=False)
        images = tf.ensure_shape(images, (None, *self._shape))
        return images, tf.gather(self.part.y, numbers)

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.image_size, self.image_size, self.part.x.shape[-1]

    def _load(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        images = np.empty((len(numbers), *self._shape), np.uint8)
        one_size = partial(stretch, image_size=self.image_size)
        for row, image in enumerate(in_parallel(one_size, self.part.x[numbers])):
            images[row] = image
        return images
