# ruff: noqa: D205, D212, D415, E402
"""
Title: Image classification from scratch with R-Drop
Author: rdrop_tf contributors
Date created: 2026/11/23
Last modified: 2026/11/23
Description: A wide residual network with dropout on CIFAR, its accuracy and its calibration.
Accelerator: GPU
"""

"""
## Introduction

R-Drop ([Liang et al., 2021](https://arxiv.org/abs/2106.14448)) makes two passes of each batch,
with two dropout masks, and adds `alpha` times the divergence of the two predictions to the
loss. Any Keras image model with dropout can be trained so. This example trains a wide residual
network twice from the same initial weights, with alpha 0 (ordinary training) and with R-Drop,
and compares accuracy, learning curves and calibration: whether a model that is sure to 80 % is
right in 80 of 100 cases.

    python examples/cifar.py --dataset cifar100
    python examples/cifar.py --data images.npz
    RDROP_SMOKE=1 python examples/cifar.py

The first two train WRN-16-4, which wants a GPU: a few hours on one for the full number of
epochs. The third runs offline, on made-up images and with a tiny network, in about a
minute on two processor cores.
"""

"""
## Setup

`pip install "rdrop_tf[data]"` installs what is imported here.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from rdrop_tf import RDropModel
from rdrop_tf.losses import symmetric_kl
from rdrop_tf.metrics import expected_calibration_error, negative_log_likelihood, reliability_bins
from rdrop_tf.tasks import ConsistencyProbe, Examples
from rdrop_tf.tasks.images import Augmentation, read_npz, read_tfds, wide_resnet
from rdrop_tf.training import make_optimizer

SMOKE = os.environ.get("RDROP_SMOKE") == "1"

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--dataset", default="cifar10", help="a name of tensorflow-datasets")
parser.add_argument("--data", type=Path, help="an npz file: x_train, y_train, x_test, y_test")
parser.add_argument("--alpha", type=float, default=1.0)
parser.add_argument("--epochs", type=int, default=3 if SMOKE else 100)
parser.add_argument("--batch-size", type=int, default=32 if SMOKE else 128)
parser.add_argument("--learning-rate", type=float, default=0.03 if SMOKE else 0.1)
parser.add_argument("--out", type=Path, help="folder of the pictures")
args, unknown = parser.parse_known_args()
# The arguments of a notebook's process are not ours; those of a script with a typing error are.
if unknown and "ipykernel" not in sys.modules:
    parser.error(f"unrecognized arguments: {' '.join(unknown)}")

out = args.out or Path(tempfile.mkdtemp(prefix="rdrop_cifar_"))
out.mkdir(parents=True, exist_ok=True)
print(f"pictures: {out}")

"""
## Data

`read_npz` and `read_tfds` return uint8 images and class numbers. The original CIFAR archives
are Python pickles, which run whatever code they hold when they are read, and are not read here.

In smoke mode an image shows stripes in one of four directions, in a colour and a place of its
own and under noise.
"""

DIRECTIONS = np.array([[1, 0], [0, 1], [1, 1], [1, -1]])


def make_stripes(rows: int, seed: int, size: int = 16) -> Examples:
    """Makes up images of stripes; the class is their direction."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(DIRECTIONS), rows).astype("int32")
    places = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1)
    along = np.einsum("hwd,nd->nhw", places, DIRECTIONS[labels])
    waves = np.sin(0.9 * along + rng.uniform(0, 2 * np.pi, (rows, 1, 1)))
    colours = rng.uniform(0.3, 1.0, (rows, 1, 1, 3))
    noise = rng.normal(0, 35, (rows, size, size, 3))
    pixels = 128 + 60 * waves[..., None] * colours + noise
    return Examples(np.clip(pixels, 0, 255).astype("uint8"), labels)


if SMOKE:
    train, test = make_stripes(320, seed=0), make_stripes(128, seed=1)
else:
    images = read_npz(args.data) if args.data else read_tfds(args.dataset)
    train, test = images.train, images.test
num_classes = 1 + int(train.y.max())  # `read_npz` refuses classes of test that train has not

figure, panels = plt.subplots(2, 6, figsize=(9, 3.2), layout="constrained")
for axes, image, label in zip(panels.flat, train.x, train.y, strict=False):
    axes.imshow(image.squeeze(), cmap="gray" if image.shape[-1] == 1 else None)
    axes.set_title(f"class {label}", fontsize=9)
    axes.axis("off")
figure.savefig(out / "images.png", dpi=120)

"""
## Augmentation

Crops and mirror images for CIFAR. The stripes of smoke mode are shifted only, as a mirror
image would be of another class. With `views=2`, here and in `RDropModel`, the two passes would
see two augmentations of each image; here both see the same one, as in the paper.
"""


def training_batches() -> tf.data.Dataset:
    """Shuffles, batches and augments, in the same order for each alpha."""
    rows = tf.data.Dataset.from_tensor_slices(tuple(train)).shuffle(train.rows, seed=0)
    augmentation = Augmentation(crop_padding=2 if SMOKE else 4, flip=not SMOKE, seed=0)
    return augmentation.over(rows.batch(args.batch_size)).prefetch(tf.data.AUTOTUNE)


"""
## The model

A wide residual network: dropout lies between the two convolutions of each block. Batch
normalisation counts each batch once, whatever the number of passes.
"""


def build_model() -> keras.Model:
    """Builds the network, always with the same weights."""
    keras.utils.set_random_seed(0)
    return wide_resnet(
        image_size=train.x.shape[1],
        channels=train.x.shape[-1],
        num_classes=num_classes,
        depth=10 if SMOKE else 16,
        width=1 if SMOKE else 4,
        dropout=0.3,
    )


"""
## Training

SGD with momentum, a cosine schedule, and weight decay that leaves out biases and
normalisation. `ConsistencyProbe` measures after each epoch how far two dropout passes of the
same test images are apart, for alpha 0 as for any other.
"""


def fit(alpha: float) -> tuple[keras.Model, dict]:
    """Trains with one alpha; returns the model and its curves."""
    network = build_model()
    rdrop = RDropModel(network, alpha=alpha)
    optimizer = make_optimizer(
        network,
        args.epochs * -(-train.rows // args.batch_size),
        learning_rate=args.learning_rate,
        name="sgd",
        momentum=0.9,
        warmup=0.05,
        weight_decay=5e-4,
    )
    rdrop.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        # Compiling with XLA pays off only where training takes longer than it does.
        jit_compile=False if SMOKE else "auto",
    )
    history = rdrop.fit(
        training_batches(),
        epochs=args.epochs,
        shuffle=False,  # the batches are shuffled already
        validation_data=(test.x, test.y),
        validation_batch_size=args.batch_size,
        callbacks=[ConsistencyProbe(network, test.x[:256], symmetric_kl)],
        verbose=2,
    )
    return rdrop, history.history


runs = {alpha: fit(alpha) for alpha in (0.0, args.alpha)}

"""
## Evaluation

Beside accuracy the negative log-likelihood and the calibration error, which tell how much the
probabilities can be trusted. One seed is an anecdote: `rdrop compare` repeats both runs over
several seeds and gives an interval of the difference.
"""

logits = {
    alpha: rdrop.predict(test.x, batch_size=args.batch_size, verbose=0)
    for alpha, (rdrop, _) in runs.items()
}
for alpha, predictions in logits.items():
    print(
        f"alpha {alpha:g}: accuracy {np.mean(predictions.argmax(axis=1) == test.y):.3f}, "
        f"negative log-likelihood {negative_log_likelihood(test.y, predictions):.3f}, "
        f"calibration error {expected_calibration_error(test.y, predictions):.3f}"
    )

"""
## What R-Drop changes

Left the loss while training, in the middle that on test images, right the distance of two
dropout passes, which R-Drop holds down.
"""

COLORS = dict(zip(runs, ("#6b6b6b", "#d1495b"), strict=True))
PANELS = {
    "ce": "Cross-entropy in training, dropout on",
    "val_loss": "Cross-entropy on test images",
    "probe_kl": "KL of two dropout passes",
}
figure, panels = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
for axes, (name, title) in zip(panels, PANELS.items(), strict=True):
    for alpha, (_, curves) in runs.items():
        epochs = range(1, args.epochs + 1)
        axes.plot(epochs, curves[name], ".-", color=COLORS[alpha], label=f"alpha {alpha:g}")
    axes.set(title=title, xlabel="epoch", ylabel="nats per example")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
panels[0].legend(frameon=False)
figure.savefig(out / "curves.png", dpi=120)

"""
## Calibration

Test images are put into bins by the probability of the class that was chosen. On the dashed
line a model is as often right as it claims; below it, it is too sure. Points are the larger
the more images they stand for.
"""

figure, axes = plt.subplots(figsize=(4.8, 4.6), layout="constrained")
axes.plot([0, 1], [0, 1], "--", color="#a0a0a0", linewidth=1)
for alpha, predictions in logits.items():
    bins = reliability_bins(test.y, predictions, bins=10)
    filled = bins.counts > 0
    sizes = 20 + 300 * bins.counts[filled] / bins.counts.sum()
    points = bins.confidence[filled], bins.accuracy[filled]
    axes.plot(*points, color=COLORS[alpha], linewidth=1, alpha=0.6)
    axes.scatter(*points, sizes, color=COLORS[alpha], alpha=0.6, label=f"alpha {alpha:g}")
axes.set(xlabel="probability of the chosen class", ylabel="share that is right")
axes.grid(alpha=0.25)
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False, loc="upper left", markerscale=0.6)
figure.savefig(out / "calibration.png", dpi=120)
