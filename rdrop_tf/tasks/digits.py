"""Handwritten digits of 8x8 pixels, bundled with scikit-learn."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from rdrop_tf._typing import Tensor
from rdrop_tf.losses import symmetric_kl
from rdrop_tf.tasks.task import Examples, Metric, Splits, Task
from rdrop_tf.tasks.tiny_vit import tiny_vit

IMAGE_SIZE = 8
MAX_PIXEL = 16


class Digits(Task):
    """Which digit does an image show?

    Args:
        recipe: Its `split` says how many images are for training and validation (the rest
            is the test set) and the seed of the draw; its `model` what `tiny_vit` takes.

    Example:
    >>> from rdrop_tf.recipes import DIGITS
    >>> task = Digits(DIGITS)
    >>> [len(part.y) for part in task.splits()]
    [200, 400, 1197]
    """

    metric: ClassVar[Metric] = Metric(
        "accuracy", scale=100, unit="%", difference_unit="points", higher_is_better=True
    )

    def splits(self) -> Splits:
        """Draws training, validation and test images, each digit in proportion."""
        digits = load_digits()
        images = digits.images[..., np.newaxis].astype(np.float32)
        everything = Examples(images, digits.target.astype(np.int32))
        split = self.recipe.split
        train, rest = _draw(everything, split["train"], split["seed"])
        validation, test = _draw(rest, split["validation"], split["seed"])
        return Splits(train, validation, test)

    def model(self) -> keras.Model:
        """Builds the vision transformer: images (8, 8, 1) of 0..16 to 10 logits."""
        settings: dict[str, Any] = dict(self.recipe.model)
        return tiny_vit(
            image_size=IMAGE_SIZE, patch_size=2, max_pixel=MAX_PIXEL, num_classes=10, **settings
        )

    def compile_options(self, steps_per_epoch: int) -> dict[str, Any]:
        """Returns Adam under a cosine, and the cross-entropy and accuracy of logits."""
        steps = self.recipe.epochs * steps_per_epoch
        warmup = max(1, round(self.recipe.warmup * steps))
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            decay_steps=max(1, steps - warmup),
            warmup_target=self.recipe.learning_rate,
            warmup_steps=warmup,
        )
        return {
            "optimizer": keras.optimizers.Adam(schedule),
            "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "metrics": ["accuracy"],
        }

    def divergence(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the paper's divergence of two passes' logits."""
        return symmetric_kl(first, second)

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

    def write_lines(self, predictions: NDArray[Any]) -> Sequence[str]:
        """Writes the most probable digit of each image."""
        return [str(digit) for digit in predictions.argmax(axis=-1)]


def _draw(examples: Examples, count: int, seed: int) -> tuple[Examples, Examples]:
    """Draws `count` examples, each class in proportion; returns them and the rest."""
    drawn, rest = train_test_split(
        np.arange(len(examples.y)), train_size=count, stratify=examples.y, random_state=seed
    )
    return tuple(Examples(examples.x[rows], examples.y[rows]) for rows in (drawn, rest))  # type: ignore[return-value]


def _pixel(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= MAX_PIXEL:
        raise ValueError(f"a pixel must be a number from 0 to {MAX_PIXEL}; got {word!r}")
    return value
