"""Random changes to images that leave their classes right."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from rdrop_tf._typing import Tensor
from rdrop_tf.tasks.images.augment_checks import check_classes, check_images, check_settings
from rdrop_tf.tasks.images.draws import Draws
from rdrop_tf.tasks.images.per_image import ExactCutMix, MixUp, PaddedCrop, PerImageRandAugment


class Augmentation:
    """Crops, flips, RandAugment, MixUp and CutMix of batches, with Keras' own layers.

    With `views=2` the passes of R-Drop can each see an augmentation of their own: the inputs
    become a tuple of two batches, the same images in the same order. MixUp and CutMix then
    mix both views with the same partners, shares and boxes, so the one soft label is right
    for both. With both of them on, each batch takes one of the two, by a fair coin.

    Every draw follows from `seed` and the number of the batch alone.

    Args:
        crop_padding: Zeros on each side before the image's own size is cut out again.
        flip: Whether half of the images are mirrored, left to right.
        randaugment: RandAugment's magnitude on Keras' scale, above 0 and at most 1: .1 turns
            by up to 36° and moves by up to a tenth. None does without.
        mixup_alpha: The alpha of MixUp's beta distribution, above 0. None does without.
        cutmix_alpha: CutMix's, above 0 and at most 1. None does without.
        views: 1, or 2 for two augmentations of each image.
        num_classes: How many classes there are; MixUp and CutMix need it for soft labels.
        seed: What the draws follow from, a whole number from 0 to 1,000,000.

    Raises:
        ValueError: If a setting is out of its range.

    Example:
    >>> images, labels = np.zeros((4, 8, 8, 3), "uint8"), np.array([0, 1, 2, 0])
    >>> augmentation = Augmentation(crop_padding=1, flip=True, mixup_alpha=0.2, views=2,
    ...                             num_classes=3)
    >>> (first, second), soft = augmentation(images, labels)
    >>> first.shape, second.shape, soft.shape
    ((4, 8, 8, 3), (4, 8, 8, 3), (4, 3))
    """

    def __init__(
        self,
        *,
        crop_padding: int = 0,
        flip: bool = False,
        randaugment: float | None = None,
        mixup_alpha: float | None = None,
        cutmix_alpha: float | None = None,
        views: int = 1,
        num_classes: int | None = None,
        seed: int = 0,
    ) -> None:
        check_settings(crop_padding, randaugment, mixup_alpha, cutmix_alpha, views, seed)
        mixes = mixup_alpha is not None or cutmix_alpha is not None
        check_classes(mixes, num_classes)
        self.views = views
        self.num_classes = num_classes
        self.seed = seed
        self.needs_colour = randaugment is not None
        self._view_layers = _view_layers(crop_padding, flip, randaugment)
        self._mixers = _mixers(mixup_alpha, cutmix_alpha)
        self._batches = 0

    @property
    def soft_labels(self) -> bool:
        """Whether labels come out as (batch, classes), for MixUp or CutMix."""
        return bool(self._mixers)

    def __call__(self, x: Tensor, y: Tensor, batch: Tensor | None = None) -> Any:
        """Augments one batch.

        Args:
            x: Images, shape (batch, height, width, channels), values 0..255.
            y: Class numbers, shape (batch,).
            batch: The number of the batch that the draws follow from. Without one, calls are
                counted; inside tf.data it is needed, and `over` gives it.

        Returns:
            (x, y): x the float32 images, or a tuple of two views; y the class numbers as they
            came, or with MixUp or CutMix soft labels (batch, classes) in float32. NumPy arrays,
            but inside tf.data tensors of TensorFlow.

        Raises:
            ValueError: If the images are no batch, RandAugment gets images without three
                channels, or the batch has no number inside tf.data.
        """
        check_images(x, self.needs_colour)
        if _in_tensorflow_graph():
            return self._call_in_graph(x, y, batch)
        if batch is None:
            batch, self._batches = self._batches, self._batches + 1
        images = keras.ops.convert_to_tensor(np.asarray(x, np.float32))
        labels = np.asarray(y)
        if self._mixers:
            labels = keras.ops.one_hot(labels, self.num_classes, dtype="float32")
        result = self._augment(images, labels, Draws(self.seed, batch))
        return keras.tree.map_structure(keras.ops.convert_to_numpy, result)

    def over(self, dataset: Any) -> Any:
        """Augments a tf.data pipeline of batches, in parallel.

        Batches race for the processors, so each gets a number beforehand, from a generator
        that goes on from epoch to epoch. It follows from `seed` and, as every shuffle of
        tf.data, from TensorFlow's global seed (`keras.utils.set_random_seed`).

        Args:
            dataset: A `tf.data.Dataset` of (images, labels), batched.

        Returns:
            A `tf.data.Dataset` of the augmented batches, in the same order.

        Example:
        >>> import tensorflow as tf
        >>> images, labels = np.zeros((4, 8, 8, 3), "uint8"), np.array([0, 1, 2, 0])
        >>> dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(2)
        >>> x, y = next(iter(Augmentation(flip=True).over(dataset)))
        >>> x.shape, y.shape
        (TensorShape([2, 8, 8, 3]), TensorShape([2]))
        """
        import tensorflow as tf

        numbers = tf.data.Dataset.random(self.seed, rerandomize_each_iteration=True)
        # Nothing here depends on a tensor's value: converting it costs seconds and gains nothing.
        augment = tf.autograph.experimental.do_not_convert(
            lambda rows, number: self(rows[0], rows[1], number)
        )
        return tf.data.Dataset.zip(dataset, numbers).map(
            augment, num_parallel_calls=tf.data.AUTOTUNE
        )

    def _call_in_graph(self, images: Tensor, labels: Tensor, batch: Tensor | None) -> Any:
        import tensorflow as tf

        if batch is None:
            raise ValueError(
                "inside tf.data a batch must have a number that its draws follow from, as "
                "parallel calls have no order; got none: use augmentation.over(dataset), or "
                "hand in batch="
            )
        x = tf.cast(images, tf.float32)
        y = tf.one_hot(labels, self.num_classes) if self._mixers else labels
        with _computing_with_tensorflow([*self._view_layers, *self._mixers]):
            result = self._augment(x, y, Draws(self.seed, batch, in_graph=True))
        shapes = keras.tree.map_structure(lambda _: images.shape, result[0])
        return keras.tree.map_structure(tf.ensure_shape, result[0], shapes), result[1]

    def _augment(self, images: Tensor, labels: Tensor, draws: Draws) -> tuple[Any, Tensor]:
        views = [self._view(images, draws) for _ in range(self.views)]
        if self._mixers:
            views, labels = self._mix(views, labels, draws)
        return (views[0] if self.views == 1 else tuple(views)), labels

    def _view(self, images: Tensor, draws: Draws) -> Tensor:
        for layer in self._view_layers:
            drawn = layer.get_random_transformation(images, training=True, seed=draws)
            images = layer.transform_images(images, drawn)
        return images

    def _mix(
        self, views: list[Tensor], labels: Tensor, draws: Draws
    ) -> tuple[list[Tensor], Tensor]:
        """Mixes every view with what was drawn once."""
        mixed = [_mixed_by(mixer, views, labels, draws) for mixer in self._mixers]
        if len(mixed) == 1:
            return mixed[0]
        backend = self._mixers[0].backend
        heads = backend.random.uniform((), seed=draws) < 0.5
        (some, some_labels), (others, other_labels) = mixed
        return (
            [backend.numpy.where(heads, *pair) for pair in zip(some, others, strict=True)],
            backend.numpy.where(heads, some_labels, other_labels),
        )


def _view_layers(
    crop_padding: int, flip: bool, randaugment: float | None
) -> list[keras.layers.Layer]:
    layers: list[keras.layers.Layer] = []
    if crop_padding:
        layers.append(PaddedCrop(crop_padding))
    if flip:
        layers.append(keras.layers.RandomFlip("horizontal", seed=0, dtype="float32"))
    if randaugment is not None:
        layers.append(PerImageRandAugment(randaugment))
    return layers


def _mixers(mixup_alpha: float | None, cutmix_alpha: float | None) -> list[keras.layers.Layer]:
    layers: list[keras.layers.Layer] = []
    if mixup_alpha is not None:
        layers.append(MixUp(mixup_alpha))
    if cutmix_alpha is not None:
        layers.append(ExactCutMix(cutmix_alpha))
    return layers


def _mixed_by(
    mixer: keras.layers.Layer, views: list[Tensor], labels: Tensor, draws: Draws
) -> tuple[list[Tensor], Tensor]:
    drawn = mixer.get_random_transformation(views[0], training=True, seed=draws)
    return [mixer.transform_images(view, drawn) for view in views], mixer.transform_labels(
        labels, drawn
    )


@contextmanager
def _computing_with_tensorflow(layers: Sequence[keras.layers.Layer]) -> Iterator[None]:
    """Lets layers, and the layers inside them, use TensorFlow, whatever Keras' backend is."""
    inner = [part for layer in layers for part in vars(layer).values()]
    switched = [*layers, *(part for part in inner if isinstance(part, keras.layers.Layer))]
    for layer in switched:
        layer.backend.set_backend("tensorflow")
    try:
        yield
    finally:
        for layer in switched:
            layer.backend.reset()


def _in_tensorflow_graph() -> bool:
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and not tensorflow.executing_eagerly()
