"""CIFAR and ImageNet: the paper's recipes for ViT, and small networks trained from nothing.

Paper: arXiv 2106.14448, section 3.4 and appendix: alpha .6, dropout .1, SGD with momentum .9,
learning rate 1e-2, cosine decay after 500 updates of warm-up, batch 512, images of 384 by 384,
gradients clipped at norm 1. It does not state the updates; they are those of ViT's fine-tuning
(arXiv 2010.11929, appendix B.1.1, table 4): 10,000 on CIFAR, 20,000 on ImageNet, here as whole
epochs. A batch is 16 slices of 32 images, whose gradients are averaged. Nor does it state the
augmentation: flips, and crops of the same 384 pixels after padding with an eighth of them.

The small recipes are none of the paper's: ordinary settings of such networks, with alpha .6, for
the 32 by 32 pixels of CIFAR.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rdrop_tf.recipes.recipe import Optimizer, Recipe

BATCH, SLICES, WARMUP_UPDATES = 512, 16, 500
PAPER_IMAGE_SIZE = 384
CIFAR_IMAGE_SIZE = 32

PRESETS = {
    "vit-base": "vit_base_patch16_224_imagenet21k",
    "vit-large": "vit_large_patch16_224_imagenet21k",
}

SUMMARIES = {
    "cifar10": "CIFAR-10: which of 10 things is on the photo?",
    "cifar100": "CIFAR-100: which of 100 things is on the photo?",
    "imagenet2012": "ImageNet: which of 1,000 things is on the photo?",
}

CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet2012": 1000}

SOURCE = "--data FILE or DIR (npz or class folders), or tensorflow-datasets ({})"


class PaperSettings(NamedTuple):
    """A data set's training images, the updates, and results with and without R-Drop."""

    name: str
    rows: int
    updates: int
    vit_base: tuple[float, float]
    vit_large: tuple[float, float]

    @property
    def epochs(self) -> int:
        """Returns the epochs that come nearest to the updates."""
        return round(self.updates * BATCH / self.rows)


PAPER = {
    "cifar100": PaperSettings("cifar100", 50_000, 10_000, (92.64, 93.29), (93.44, 93.85)),
    "imagenet2012": PaperSettings("imagenet", 1_281_167, 20_000, (83.97, 84.38), (85.15, 85.57)),
}


def _paper_recipe(tfds: str, network: str) -> Recipe:
    settings = PAPER[tfds]
    baseline, rdrop = getattr(settings, network.replace("-", "_"))
    return Recipe(
        name=f"{settings.name}-{network}",
        task="images",
        summary=f"{SUMMARIES[tfds]} {network}",
        source=SOURCE.format(tfds),
        paper=f"accuracy {baseline} %, with R-Drop {rdrop} %",
        alpha=0.6,
        forward="two_calls",
        seeds=3,
        epochs=settings.epochs,
        batch_size=BATCH // SLICES,
        optimizer=Optimizer(
            name="sgd",
            learning_rate=1e-2,
            warmup=WARMUP_UPDATES / settings.updates,
            momentum=0.9,
            clip_norm=1.0,
            accumulation=SLICES,
        ),
        # As in the paper, all training images are learnt from and the test images watched.
        data=_data(
            tfds,
            image_size=PAPER_IMAGE_SIZE,
            validation=0.0,
            crop_padding=PAPER_IMAGE_SIZE // 8,
        ),
        model={"kind": "keras_hub", "preset": PRESETS[network], "sha256": None, "dropout": 0.1},
    )


def _small_recipe(
    tfds: str, network: str, optimizer: Optimizer, model: Mapping[str, Any]
) -> Recipe:
    return Recipe(
        name=f"{tfds}-{network}",
        task="images",
        summary=f"{SUMMARIES[tfds]} {network}, from nothing",
        source=SOURCE.format(tfds),
        paper="not a network of the paper",
        alpha=0.6,
        forward="two_calls",
        seeds=3,
        epochs=30,
        batch_size=128,
        optimizer=optimizer,
        probe_every=5,
        data=_data(tfds, image_size=CIFAR_IMAGE_SIZE, validation=0.1, crop_padding=4),
        model=model,
    )


def _data(tfds: str, *, image_size: int, validation: float, crop_padding: int) -> dict[str, object]:
    """The settings of the data; see `rdrop_tf.tasks.images.task.Images`."""
    return {
        "tfds": tfds,
        "folder": None,
        "strict": False,
        "image_size": image_size,
        "most_classes": CLASSES[tfds],
        "validation": validation,
        "rows": None,
        "seed": 0,
        "crop_padding": crop_padding,
        "flip": True,
        "randaugment": None,
        "mixup": None,
        "cutmix": None,
        "views": 1,
    }


SMALL_VIT = {
    "kind": "tiny_vit",
    "patch_size": 4,
    "depth": 6,
    "width": 128,
    "heads": 4,
    "hidden": 256,
    "dropout": 0.1,
}
SMALL_VIT_OPTIMIZER = Optimizer(learning_rate=1e-3, warmup=0.1, weight_decay=0.05, clip_norm=1.0)

WIDE_RESNET = {"kind": "wide_resnet", "depth": 16, "width": 2, "dropout": 0.3}
# The network's paper adds 5e-4 of the weights to the gradient, which momentum .9 makes ten times
# as much; here the decay is apart from the gradient.
WIDE_RESNET_OPTIMIZER = Optimizer(
    name="sgd", learning_rate=0.1, warmup=0.05, momentum=0.9, weight_decay=5e-3
)

IMAGES = (
    *(_paper_recipe(tfds, network) for tfds in PAPER for network in PRESETS),
    *(
        recipe
        for tfds in ("cifar100", "cifar10")
        for recipe in (
            _small_recipe(tfds, "vit-small", SMALL_VIT_OPTIMIZER, SMALL_VIT),
            _small_recipe(tfds, "wide-resnet", WIDE_RESNET_OPTIMIZER, WIDE_RESNET),
        )
    ),
)
