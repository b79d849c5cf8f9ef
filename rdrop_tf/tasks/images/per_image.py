"""Keras' augmentation layers, drawn anew for each image of a batch.

`RandomCrop` moves a whole batch to one place and `RandAugment` gives all of it the same
operations; the papers draw both for every image. Only what is drawn is replaced here, what is
done with it is Keras'.
"""

from typing import Any

import keras

from rdrop_tf._typing import Tensor
from rdrop_tf.tasks.images.draws import Draws


class PaddedCrop(keras.layers.RandomTranslation):
    """Pads images with zeros and cuts their own size out again, at a random place.

    The same as moving the image by whole pixels, which Keras does for each one alone.

    Args:
        padding: Zeros on each side.

    Example:
    >>> import numpy as np
    >>> crop, images = PaddedCrop(1), np.ones((1, 4, 4, 3), "float32")
    >>> moves = crop.get_random_transformation(images, seed=Draws(0, 0))
    >>> crop.transform_images(images, moves).shape == images.shape
    True
    """

    def __init__(self, padding: int) -> None:
        super().__init__(
            1.0, 1.0, fill_mode="constant", interpolation="nearest", seed=0, dtype="float32"
        )
        self.padding = padding

    def get_random_transformation(
        self, data: Tensor, training: bool = True, seed: Draws | None = None
    ) -> dict[str, Any]:
        """Draws a move of -padding..padding whole pixels to the right and down."""
        shape = self.backend.shape(data)
        moves = self.backend.random.randint(
            (shape[0], 2), -self.padding, self.padding + 1, seed=seed, dtype="int32"
        )
        return {"translations": self.backend.cast(moves, "float32"), "input_shape": shape}


class PerImageRandAugment(keras.layers.RandAugment):
    """RandAugment whose operations, and not only their strength, each image draws for itself.

    Keras works out all eleven operations for every image and picks one, twice: dear, compared
    with a crop or a flip. Its equalization goes by the histogram of the whole batch.

    Args:
        magnitude: Above 0, at most 1. Keras' scale is its own: at 1 an image is turned by up
            to 360° and moved by its whole size, so .1 is about what the paper uses.

    Example:
    >>> import numpy as np
    >>> layer, images = PerImageRandAugment(0.1), np.ones((2, 8, 8, 3), "float32")
    >>> drawn = layer.get_random_transformation(images, seed=Draws(0, 0))
    >>> drawn["layer_idxes"].shape == (2, 2, 1, 1, 1)
    True
    """

    def __init__(self, magnitude: float) -> None:
        super().__init__(value_range=(0, 255), factor=magnitude, seed=0, dtype="float32")

    def get_random_transformation(
        self, data: Tensor, training: bool = True, seed: Draws | None = None
    ) -> dict[str, Any]:
        """Draws the strength of every operation, and which of them each image gets."""
        names = self._AUGMENT_LAYERS
        transforms = {
            name: getattr(self, name).get_random_transformation(data, training=True, seed=seed)
            for name in names
        }
        # `transform_images` compares these with each operation's number: with axes for the
        # pixels behind the rows, the comparison is made image by image.
        rows = self.backend.shape(data)[0]
        chosen = self.backend.random.randint(
            (self.num_ops, rows, 1, 1, 1), 0, len(names), seed=seed
        )
        return {"transforms": transforms, "layer_idxes": chosen}


class MixUp(keras.layers.MixUp):
    """MixUp that numbers its partners as every backend can.

    Keras takes int64, which JAX turns into int32 with a warning at each batch.

    Args:
        alpha: Of the beta distribution, above 0.

    Example:
    >>> import numpy as np
    >>> layer, images = MixUp(0.2), np.ones((2, 8, 8, 3), "float32")
    >>> sorted(layer.get_random_transformation(images, seed=Draws(0, 0)))
    ['mix_weight', 'permutation_order']
    """

    def __init__(self, alpha: float) -> None:
        super().__init__(alpha, seed=0, dtype="float32")

    def get_random_transformation(
        self, data: Tensor, training: bool = True, seed: Draws | None = None
    ) -> dict[str, Any]:
        """Draws each image's partner and the share that the image keeps."""
        rows = self.backend.shape(data)[0]
        random = self.backend.random
        return {
            "permutation_order": random.shuffle(
                self.backend.numpy.arange(0, rows, dtype="int32"), seed=seed
            ),
            "mix_weight": random.beta((rows,), self.alpha, self.alpha, seed=seed),
        }


class ExactCutMix(keras.layers.CutMix):
    """CutMix whose soft labels say how many pixels were really replaced.

    Keras works the share out from the box before its edges fall between two pixels; for small
    images it is off by several per cent.

    Args:
        alpha: Of the beta distribution, above 0 and at most 1.

    Example:
    >>> import numpy as np
    >>> layer, images = ExactCutMix(1.0), np.ones((2, 8, 8, 3), "float32")
    >>> drawn = layer.get_random_transformation(images, seed=Draws(0, 0))
    >>> replaced = np.array(drawn["batch_masks"]).mean(axis=(1, 2, 3))
    >>> bool(np.allclose(np.array(drawn["mix_weight"]), 1 - replaced))
    True
    """

    def __init__(self, alpha: float) -> None:
        # One number would be the upper end of a range that alpha is drawn from.
        super().__init__(factor=(alpha, alpha), seed=0, dtype="float32")

    def get_random_transformation(
        self, data: Tensor, training: bool = True, seed: Draws | None = None
    ) -> dict[str, Any]:
        """Draws boxes and partners, and counts the pixels of the boxes."""
        drawn = super().get_random_transformation(data, training=training, seed=seed)
        inside = self.backend.cast(drawn["batch_masks"], "float32")
        drawn["mix_weight"] = 1.0 - self.backend.numpy.mean(inside, axis=(1, 2, 3))
        return drawn
