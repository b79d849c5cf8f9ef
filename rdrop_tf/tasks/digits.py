"""Handwritten digits of 8x8 pixels, bundled with scikit-learn."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from rdrop_tf.tasks.classification import Classification
from rdrop_tf.tasks.parts import Examples, Splits, take
from rdrop_tf.tasks.tiny_vit import tiny_vit

IMAGE_SIZE = 8
MAX_PIXEL = 16


class Digits(Classification):
    """Which digit does an image show?

    Args:
        recipe: Its `data` says how many images are for training and validation (the rest
            is the test set) and the seed of the draw; its `model` what `tiny_vit` takes.

    Example:
    >>> from rdrop_tf.recipes import DIGITS
    >>> task = Digits(DIGITS)
    >>> [part.rows for part in task.splits()[:3]]
    [200, 400, 1197]
    """

    def splits(self) -> Splits:
        """Draws training, validation and test images, each digit in proportion."""
        digits = load_digits()
        images = digits.images[..., np.newaxis].astype(np.float32)
        everything = Examples(images, digits.target.astype(np.int32))
        split = self.recipe.data
        train, rest = _draw(everything, split["train"], split["seed"])
        validation, test = _draw(rest, split["validation"], split["seed"])
        return Splits(train, validation, test)

    def model(self) -> keras.Model:
        """Builds the vision transformer: images (8, 8, 1) of 0..16 to 10 logits."""
        settings: dict[str, Any] = dict(self.recipe.model)
        return tiny_vit(
            image_size=IMAGE_SIZE, patch_size=2, max_pixel=MAX_PIXEL, num_classes=10, **settings
        )

    def read_line(self, line: str) -> NDArray[np.float32]:
        """Reads the 64 pixels of an image, row by row.

        Args:
            line: 64 numbers from 0 (white) to 16 (black), with commas or spaces between.

        Returns:
            The image, shape (8, 8, 1).

        Raises:
            ValueError: If there are not 64 of them, or one is no number from 0 to 16.

        Example:
        >>> from rdrop_tf.recipes import DIGITS
        >>> Digits(DIGITS).read_line("0 16 " * 32).shape
        (8, 8, 1)
        """
        words = line.replace(",", " ").split()
        count = IMAGE_SIZE * IMAGE_SIZE
        if len(words) != count:
            raise ValueError(
                f"a line must hold {count} pixels, separated by commas or spaces; "
                f"got {len(words)} values"
            )
        pixels = np.array([_pixel(word) for word in words], np.float32)
        return pixels.reshape(IMAGE_SIZE, IMAGE_SIZE, 1)


def _draw(examples: Examples, count: int, seed: int) -> tuple[Examples, Examples]:
    """Draws `count` examples, each class in proportion; returns them and the rest."""
    drawn, rest = train_test_split(
        np.arange(len(examples.y)), train_size=count, stratify=examples.y, random_state=seed
    )
    return take(examples, drawn), take(examples, rest)


def _pixel(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= MAX_PIXEL:
        raise ValueError(f"a pixel must be a number from 0 to {MAX_PIXEL}; got {word!r}")
    return value
