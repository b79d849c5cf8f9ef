# ruff: noqa: D205, D212, D415, E402
"""
Title: Fine-tuning a text encoder on GLUE with R-Drop
Author: rdrop_tf contributors
Date created: 2026/11/23
Last modified: 2026/11/23
Description: A KerasHub classifier on a task of GLUE, with and without R-Drop.
Accelerator: GPU
"""

"""
## Introduction

Dropout trains a different sub-network at every step, but predictions are made with the whole
network. R-Drop ([Liang et al., 2021](https://arxiv.org/abs/2106.14448)) narrows that gap: it
makes two passes of each batch, with two dropout masks, and adds `alpha` times the divergence
of the two predictions to the loss.

`rdrop_tf.RDropModel` does this for any Keras model, KerasHub tasks and their preprocessors
included. This example fine-tunes the same encoder twice from the same initial weights, with
alpha 0 (ordinary training) and with R-Drop, and draws how the two differ.

    python examples/glue.py --task MRPC --data DIR
    RDROP_SMOKE=1 python examples/glue.py

The first line downloads BERT-base and wants a GPU: on one it takes minutes for the small tasks
of GLUE, and hours for MNLI and QQP. The second one runs offline, on made-up sentences and a
tiny encoder, in about a minute on two processor cores.
"""

"""
## Setup

`pip install "rdrop_tf[data,hub]"` installs what is imported here. Without `--data`, the folder
of the official tsv files, the rows come from tensorflow-datasets.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np

from rdrop_tf import RDropModel
from rdrop_tf.losses import squared_difference, symmetric_kl
from rdrop_tf.metrics import glue_metrics
from rdrop_tf.tasks import ConsistencyProbe
from rdrop_tf.tasks.glue import GlueRows, find_glue_dataset, read_tfds_split, read_tsv_split
from rdrop_tf.tasks.glue.encoders import RANDOM_TINY, load_classifier, load_preprocessor
from rdrop_tf.tasks.glue.tokens import tokenize
from rdrop_tf.training import make_optimizer

SMOKE = os.environ.get("RDROP_SMOKE") == "1"

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--task", default="SST-2" if SMOKE else "MRPC")
parser.add_argument("--data", type=Path, help="folder of the official tsv files")
parser.add_argument("--preset", default=RANDOM_TINY if SMOKE else "bert_base_en_uncased")
parser.add_argument("--alpha", type=float, default=5.0 if SMOKE else 1.0)
parser.add_argument("--epochs", type=int, default=3 if SMOKE else 10)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, default=1e-3 if SMOKE else 1e-5)
parser.add_argument("--sequence-length", type=int, default=16 if SMOKE else 128)
parser.add_argument("--out", type=Path, help="folder of the pictures")
args, unknown = parser.parse_known_args()
# The arguments of a notebook's process are not ours; those of a script with a typing error are.
if unknown and "ipykernel" not in sys.modules:
    parser.error(f"unrecognized arguments: {' '.join(unknown)}")

out = args.out or Path(tempfile.mkdtemp(prefix="rdrop_glue_"))
out.mkdir(parents=True, exist_ok=True)
print(f"pictures: {out}")

"""
## Data

Both readers return the same rows: one list of texts (two for tasks of pairs) and the labels.
In smoke mode the rows are reviews whose one telling word is drawn from a list of praise or of
blame, so that a small network can learn the rule. Some of the training labels are wrong, so
that there is something to overfit.
"""

PRAISE = ["wonderful", "moving", "brilliant", "funny", "gripping", "charming"]
BLAME = ["dull", "clumsy", "tedious", "hollow", "lifeless", "dreary"]
SUBJECTS = ["film", "plot", "cast", "music", "ending", "script"]
OPENINGS = ["I found the", "to me the", "they say the", "in the end the", "once more the"]


def make_reviews(rows: int, seed: int, wrong: float = 0.0) -> GlueRows:
    """Makes up reviews of one sentence each, a share of them with the wrong label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows).astype("int32")
    texts = [
        f"{rng.choice(OPENINGS)} {rng.choice(SUBJECTS)} was {rng.choice(PRAISE if y else BLAME)}"
        for y in labels
    ]
    labels = np.where(rng.random(rows) < wrong, 1 - labels, labels)
    return GlueRows((texts,), labels, np.arange(rows, dtype="int32"))


dataset = find_glue_dataset(args.task)
if SMOKE:
    train, validation = make_reviews(128, seed=0, wrong=0.15), make_reviews(48, seed=1)
else:
    split = dataset.validation_splits[0]
    read = read_tsv_split if args.data else read_tfds_split
    train, validation = read(dataset, "train", args.data), read(dataset, split, args.data)


def inputs(rows: GlueRows) -> list | tuple:
    """Returns what a KerasHub classifier takes: a list of texts, or a pair of lists."""
    return rows.texts[0] if len(rows.texts) == 1 else rows.texts


print(f"{dataset.name}: {len(train.labels):,} rows to train on, e.g.")
for texts in train.texts:
    print(f"    {texts[0]!r}")
print(f"    label {train.labels[0]}")

"""
## The model

`load_classifier` is `keras_hub.models.TextClassifier.from_preset` with one more preset,
`random-tiny`: a small BERT with random weights and a vocabulary made from the training texts.
STS-B has scores instead of classes, so its head has one unit and its loss is the squared error.

The same seed for each alpha makes the runs start from the same weights, in the same order of
batches.
"""

if dataset.is_regression:
    loss, outputs, divergence = keras.losses.MeanSquaredError(), 1, squared_difference
else:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    outputs, divergence = len(dataset.labels), symmetric_kl

preprocessor = load_preprocessor(
    args.preset,
    sequence_length=args.sequence_length,
    texts=[text for texts in train.texts for text in texts],
)


def build_classifier() -> keras.Model:
    """Builds the classifier, always with the same weights."""
    keras.utils.set_random_seed(0)
    return load_classifier(
        args.preset,
        outputs=outputs,
        sequence_length=args.sequence_length,
        preprocessor=preprocessor,
    )


"""
## Training

Wrap, compile and fit: `RDropModel` takes the raw texts that the classifier takes. Adam with
linear warm-up and decay is the setting of the paper.

`ConsistencyProbe` measures after each epoch how far two dropout passes of the same few rows
are apart. The `kl` in the logs is the divergence while training; alpha 0 has none to log, as
it makes one pass, and so cannot be compared by it.
"""


def fit(alpha: float) -> tuple[keras.Model, dict]:
    """Fine-tunes with one alpha; returns the model and its curves."""
    classifier = build_classifier()
    rdrop = RDropModel(classifier, alpha=alpha)
    steps = args.epochs * -(-len(train.labels) // args.batch_size)
    optimizer = make_optimizer(
        classifier,
        steps,
        learning_rate=args.learning_rate,
        schedule="linear",
        warmup=0.06,
        beta_2=0.98,
        epsilon=1e-6,
        weight_decay=0.01,
    )
    metrics = [] if dataset.is_regression else ["accuracy"]
    # Compiling with XLA pays off only where training takes longer than it does.
    rdrop.compile(optimizer, loss, metrics=metrics, jit_compile=False if SMOKE else "auto")
    few = tokenize(preprocessor, [texts[:64] for texts in validation.texts])
    probe = ConsistencyProbe(classifier, few, divergence)
    history = rdrop.fit(
        inputs(train),
        train.labels,
        batch_size=args.batch_size,
        epochs=args.epochs,
        validation_data=(inputs(validation), validation.labels),
        callbacks=[probe],
        verbose=2,
    )
    return rdrop, history.history


runs = {alpha: fit(alpha) for alpha in (0.0, args.alpha)}

"""
## Evaluation

Evaluation and prediction make one pass without dropout, as ever. `glue_metrics` works out the
figures that the task is reported with. A single seed says little about such small tasks:
`rdrop compare` repeats both runs over several seeds and gives an interval of the difference.
"""

for alpha, (rdrop, _) in runs.items():
    predictions = rdrop.predict(inputs(validation), batch_size=args.batch_size, verbose=0)
    answers = predictions[:, 0] if dataset.is_regression else predictions.argmax(axis=1)
    figures = glue_metrics(dataset.name, validation.labels, answers)
    print(f"alpha {alpha:g}:", ", ".join(f"{name} {v:.3f}" for name, v in figures.items()))

"""
## What R-Drop changes

The left panel is how well the training rows are fitted, the middle one the loss on rows that
were not trained on, the right one the distance of two dropout passes. The last is what R-Drop
holds down directly; whether the middle one follows depends on the data and on alpha.
"""

PANELS = {
    "ce": "Task loss in training, dropout on",
    "val_loss": "Task loss on validation rows",
    "probe_kl": "Divergence of two dropout passes",
}
figure, panels = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
for axes, (name, title) in zip(panels, PANELS.items(), strict=True):
    for (alpha, (_, curves)), color in zip(runs.items(), ("#6b6b6b", "#d1495b"), strict=True):
        epochs = range(1, args.epochs + 1)
        axes.plot(epochs, curves[name], ".-", color=color, label=f"alpha {alpha:g}")
    axes.set(title=title, xlabel="epoch")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
panels[0].legend(frameon=False)
figure.suptitle(f"{dataset.name}, {args.preset}")
figure.savefig(out / "glue.png", dpi=120)

"""
## Where to go from here

`rdrop train sst-2-bert-base` is the paper's whole recipe as a command, with checkpoints by the
task's metric, and `rdrop predict` writes the files that gluebenchmark.com takes. Try other
presets (`roberta_large_en`, a folder in the Hugging Face layout) and other values of alpha.
"""
