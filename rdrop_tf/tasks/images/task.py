"""Image classification: pixels to one of several classes."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rdrop_tf.metrics import expected_calibration_error, reliability_bins, top_k_accuracy
from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks.classification import Classification
from rdrop_tf.tasks.held_out import hold_out
from rdrop_tf.tasks.images.augment import Augmentation
from rdrop_tf.tasks.images.decode import decode
from rdrop_tf.tasks.images.folders import read_folders
from rdrop_tf.tasks.images.image_data import ImageData
from rdrop_tf.tasks.images.npz import read_npz
from rdrop_tf.tasks.images.reliability import plot_reliability
from rdrop_tf.tasks.images.resize import resized
from rdrop_tf.tasks.images.tfds import read_tfds
from rdrop_tf.tasks.images.wide_resnet import wide_resnet
from rdrop_tf.tasks.parts import Examples, Part, Splits, take
from rdrop_tf.tasks.task import Metric
from rdrop_tf.tasks.tiny_vit import tiny_vit
from rdrop_tf.tasks.training_batches import Transform

TOP_5 = Metric("top-5 accuracy", 100, "%", "points", higher_is_better=True)
LOSS = Metric("loss", 1, "nats", "nats", higher_is_better=False)
CALIBRATION_ERROR = Metric("calibration error", 100, "%", "points", higher_is_better=False)

CLASS_NAMES_FILE = "classes.json"

# A ViT's attention weights on images of 384 by 384 take 16 MB an image and layer.
LARGE_EVALUATION_BATCH = 64


class Images(Classification):
    """Images of several classes, from npz, class folders or tensorflow-datasets.

    Args:
        recipe: Its `data` says where the images lie (`folder`: an npz file or a folder with
            `train` and `test`; None for the set `tfds` of tensorflow-datasets), the
            `image_size` that they are stretched to (None keeps it, where all have one), below
            what the class numbers of an npz file must be (`most_classes`; None for any), which
            share or number of training rows is for `validation` (0 takes the test part), how
            many training `rows` are used, drawn by `seed`, and how they are augmented (see
            `Augmentation`); its `model` the `kind` of network and what that takes.
        kept: The folder of a run whose lines are answered.
    """

    def __init__(self, recipe: Recipe, kept: Path | None = None) -> None:
        super().__init__(recipe, kept)
        self.views = recipe.data["views"]
        if recipe.model["kind"] == "keras_hub":
            self.evaluation_batch = LARGE_EVALUATION_BATCH

    @property
    def more_metrics(self) -> Sequence[Metric]:
        """Top-5 accuracy where there are more classes, likelihood, and calibration."""
        return [*([TOP_5] if self._num_classes > 5 else []), LOSS, CALIBRATION_ERROR]

    # Data

    def splits(self) -> Splits:
        """Reads the images, once."""
        return self._splits

    @cached_property
    def _images(self) -> ImageData:
        data = self.recipe.data
        if data["folder"] is None:
            return read_tfds(data["tfds"], image_size=data["image_size"])
        path = _npz_inside(Path(data["folder"]))
        if not path.is_dir():
            return read_npz(path, data["most_classes"])
        return read_folders(path, data["image_size"], strict=data["strict"], seed=data["seed"])

    @property
    def prepared_settings(self) -> Mapping[str, Any]:
        """What decides the pixels and the parts."""
        return {
            n: self.recipe.data[n] for n in ("tfds", "image_size", "rows", "validation", "seed")
        }

    def keep_prepared(self, folder: Path) -> Mapping[str, Any]:
        """Returns the names and the number of the classes."""
        names = None if self.class_names is None else list(self.class_names)
        return {"class_names": names, "num_classes": self._num_classes}

    @cached_property
    def _splits(self) -> Splits:
        if self.prepared is not None:
            self.class_names = self.prepared.kept["class_names"]
            return self.prepared.splits()
        data = self.recipe.data
        train, test, self.class_names = self._images
        if data["rows"] is not None:
            train = _drawn(train, data["rows"], data["seed"])
        validation = test
        if data["validation"]:
            train, validation = hold_out(train, data["validation"], data["seed"], by_class=True)
        reported = resized(test, data["image_size"])
        return Splits(
            resized(train, data["image_size"]),
            reported if validation is test else resized(validation, data["image_size"]),
            reported,
        )

    def about_data(self) -> str:
        """Says what size the images have, how many classes and how many rows there are."""
        height, width, _ = self._image_shape
        stretched = "" if self.prepared is not None else _stretched(self._images.test, height)
        train, validation, test, _ = self.splits()
        chosen_by = "the test part" if validation is test else f"{validation.rows:,}"
        return (
            f"images of {height} by {width} pixels{stretched}, {self._num_classes} classes; "
            f"{train.rows:,} to learn from, {chosen_by} to choose by, {test.rows:,} to test"
        )

    @cached_property
    def _num_classes(self) -> int:
        if self.prepared is not None:
            return int(self.prepared.kept["num_classes"])
        train, test, names = self._images
        if names is not None:
            return len(names)
        return 1 + max(int(part.y.max()) for part in (train, test) if isinstance(part, Examples))

    def transform(self, seed: int) -> Transform | None:
        """Augments the training batches as the recipe says."""
        data = self.recipe.data
        return Augmentation(
            crop_padding=data["crop_padding"],
            flip=data["flip"],
            randaugment=data["randaugment"],
            mixup_alpha=data["mixup"],
            cutmix_alpha=data["cutmix"],
            views=data["views"],
            num_classes=self._num_classes,
            seed=seed,
        )

    # Model

    def model(self) -> keras.Model:
        """Builds the network, for images as the data have them."""
        settings: dict[str, Any] = dict(self.recipe.model)
        kind = settings.pop("kind")
        height, width, channels = self._image_shape
        if height != width:
            raise ValueError(
                f"images must be square; got {height} by {width} pixels and no image_size: set "
                "the recipe's image_size, to which they are stretched"
            )
        common: dict[str, Any] = {"image_size": height, "num_classes": self._num_classes}
        if kind == "keras_hub":
            if channels != 3:
                raise ValueError(
                    f"a keras_hub model must get colour images; got {channels} channel: repeat it "
                    "three times, or take wide_resnet or tiny_vit"
                )
            from rdrop_tf.tasks.images.classifiers import load_image_classifier

            return load_image_classifier(**common, **settings)
        if kind == "wide_resnet":
            return wide_resnet(**common, channels=channels, **settings)
        if kind == "tiny_vit":
            return tiny_vit(**common, channels=channels, max_pixel=255, **settings)
        raise ValueError(
            f"a kind of image model must be keras_hub, wide_resnet or tiny_vit; got {kind!r}"
        )

    @property
    def _image_shape(self) -> tuple[int, int, int]:
        part = self.splits().test
        if isinstance(part, Examples):
            return tuple(part.x.shape[1:])
        return tuple(part.batched(1).element_spec[0].shape[1:])

    def loss(self) -> keras.losses.Loss:
        """Returns the cross-entropy of logits; MixUp and CutMix have soft labels."""
        if self.recipe.data["mixup"] is None and self.recipe.data["cutmix"] is None:
            return super().loss()
        return keras.losses.CategoricalCrossentropy(from_logits=True)

    # Figures and answers

    def figures(self, y: NDArray[Any], predictions: NDArray[Any]) -> Mapping[str, float]:
        """Works out accuracy, likelihood and calibration."""
        figures = {
            **super().figures(y, predictions),
            CALIBRATION_ERROR.name: expected_calibration_error(y, predictions),
        }
        if predictions.shape[1] > 5:
            figures[TOP_5.name] = top_k_accuracy(y, predictions, k=5)
        return figures

    def picture(self, folder: Path, y: NDArray[Any], predictions: NDArray[Any]) -> None:
        """Draws the calibration on the test part."""
        bins = reliability_bins(y, predictions)
        plot_reliability(folder / "reliability.png", bins, f"{self.recipe.name}: test images")

    def read_line(self, line: str) -> NDArray[np.uint8]:
        """Reads the image whose path the line holds, stretched to the model's size."""
        if not line.strip():
            raise ValueError("a line must hold the path of an image; got an empty line")
        path = Path(line.strip())
        image = decode(path, self._kept["image_size"])
        if image is None:
            raise ValueError(f"a line must hold the path of an image; got {str(path)!r}")
        if self._kept["channels"] == 3:
            return image
        # The same weights as Pillow's own conversion to grey.
        grey = np.round(image @ np.array([0.299, 0.587, 0.114]))
        return grey.astype(np.uint8)[..., np.newaxis]

    @cached_property
    def _kept(self) -> dict[str, Any]:
        if self.kept is None:
            raise ValueError("lines are answered by a run; got none: train first")
        content: dict[str, Any] = json.loads((self.kept / CLASS_NAMES_FILE).read_text("utf-8"))
        return content

    def keep(self, folder: Path) -> None:
        """Writes the names of the classes and the form of the images."""
        size, _, channels = self._image_shape
        content = {"classes": self.class_names, "image_size": size, "channels": channels}
        (folder / CLASS_NAMES_FILE).write_text(json.dumps(content, indent=2) + "\n", "utf-8")

    def write_lines(self, predictions: NDArray[Any]) -> Sequence[str]:
        """Writes the most probable class of each image."""
        if self.kept is not None:
            self.class_names = self._kept["classes"]
        return super().write_lines(predictions)


def _npz_inside(path: Path) -> Path:
    """Returns the npz file of a folder that holds one, in place of class folders."""
    if not path.is_dir() or (path / "train").is_dir():
        return path
    found = sorted(path.glob("*.npz"))
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ValueError(
            f"a folder of images must hold one npz file, or the folders train and test; got {path} "
            f"with {names}: give the path of one of these files"
        )
    return found[0] if found else path


def _stretched(read: Part, height: int) -> str:
    """Says from which size images in memory are stretched, if they are."""
    if not isinstance(read, Examples) or read.x.shape[1:3] == (height, height):
        return ""
    return f" (stretched from {read.x.shape[1]} by {read.x.shape[2]})"


def _drawn(part: Part, rows: int, seed: int) -> Part:
    """Takes some rows of a part, whose first ones may all be of one class.

    Rows that are not in memory lie in no order, or were mixed by the same seed.
    """
    if not isinstance(part, Examples):
        return part.first(rows)
    return take(part, np.sort(np.random.default_rng(seed).permutation(part.rows)[:rows]))
