# ruff: noqa: D205, D212, D415, E402
"""
Title: Fine-tuning a SavedModel or a TF Hub model with R-Drop
Author: rdrop_tf contributors
Date created: 2026/11/23
Last modified: 2026/11/23
Description: A TensorFlow SavedModel as a trainable Keras layer, on SST-2-like reviews.
Accelerator: None
"""

"""
## Introduction

Keras 3 can call a SavedModel (`keras.layers.TFSMLayer`), but hardly train one.
`rdrop_tf.layers.SavedModelLayer` can: the variables of the SavedModel are weights of the layer,
its dropout is active in training, and every call draws new noise, which is what R-Drop needs.

    python examples/hub_fine_tuning.py --handle FOLDER --data DIR
    RDROP_SMOKE=1 python examples/hub_fine_tuning.py

The handle is a folder, a Kaggle handle (`owner/model/tensorFlow2/variation/version`) or an
address of TF Hub, of an encoder that takes sentences and returns a vector for each. Without
`--handle` a small encoder is built and saved first. The second line runs offline, on made-up
reviews, in well under a minute on two processor cores; with the small encoder all of SST-2
takes minutes there.
"""

"""
## Setup

SavedModels are TensorFlow's, so this needs the TensorFlow backend. Handles of Kaggle need
`pip install kagglehub`, addresses of TF Hub `pip install tensorflow_hub`.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from rdrop_tf import RDropModel
from rdrop_tf.layers import SavedModelLayer
from rdrop_tf.losses import symmetric_kl
from rdrop_tf.tasks import ConsistencyProbe
from rdrop_tf.tasks.glue import GlueRows, find_glue_dataset, read_tfds_split, read_tsv_split

SMOKE = os.environ.get("RDROP_SMOKE") == "1"

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--handle", help="a SavedModel's folder or handle")
parser.add_argument("--data", type=Path, help="folder of SST-2's official tsv files")
parser.add_argument("--alpha", type=float, default=5.0 if SMOKE else 1.0)
parser.add_argument("--epochs", type=int, default=4 if SMOKE else 5)
parser.add_argument("--batch-size", type=int, default=16 if SMOKE else 32)
parser.add_argument("--learning-rate", type=float, default=5e-3 if SMOKE else 1e-3)
parser.add_argument(
    "--deterministic",
    action="store_true",
    help="accept a SavedModel without dropout: only that before the head is left",
)
parser.add_argument("--out", type=Path, help="folder of the picture and the model")
args, unknown = parser.parse_known_args()
# The arguments of a notebook's process are not ours; those of a script with a typing error are.
if unknown and "ipykernel" not in sys.modules:
    parser.error(f"unrecognized arguments: {' '.join(unknown)}")

out = args.out or Path(tempfile.mkdtemp(prefix="rdrop_hub_"))
out.mkdir(parents=True, exist_ok=True)
print(f"picture and model: {out}")

"""
## Data

SST-2's sentences and their labels, 0 for blame and 1 for praise. In smoke mode the sentences
are made up: one telling word each, beside words that tell nothing. Some of the training labels
are wrong, so that there is something to overfit.
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


if SMOKE:
    train, validation = make_reviews(160, seed=0, wrong=0.15), make_reviews(64, seed=1)
else:
    sst2, read = find_glue_dataset("SST-2"), read_tsv_split if args.data else read_tfds_split
    train, validation = (read(sst2, split, args.data) for split in ("train", "validation"))

x_train, x_validation = tf.constant(train.texts[0]), tf.constant(validation.texts[0])
print(f"{len(train.labels):,} rows to train on, e.g. {train.texts[0][0]!r}: {train.labels[0]}")

"""
## A SavedModel to fine-tune

What makes a SavedModel trainable is what is saved with it: a `tf.function` named `__call__`
with an argument `training`, traced for both of its values, and variables. The encoder below
looks up the hashed words of a sentence in a table, drops words and features in training, and
averages. Dropout without a fixed seed differs from call to call.

A SavedModel with nothing to train, or without a graph for training, is refused by
`SavedModelLayer` with a sentence that says so.
"""

BUCKETS, WIDTH = (512, 32) if SMOKE else (32_768, 128)


class HashedWords(tf.Module):
    """Sentences to vectors: the mean of the embeddings of their words."""

    def __init__(self) -> None:
        super().__init__()
        start = tf.random_uniform_initializer(-0.5, 0.5, seed=0)
        self.table = tf.Variable(start((BUCKETS, WIDTH)), name="words")
        self.kernel = tf.Variable(tf.linalg.eye(WIDTH), name="hidden/kernel")
        self.bias = tf.Variable(tf.zeros(WIDTH), name="hidden/bias")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([], tf.bool)])
    def __call__(self, sentences: Any, training: Any) -> Any:
        """Encodes sentences."""
        words = tf.strings.split(tf.strings.lower(sentences)).to_tensor("")
        ids = tf.strings.to_hash_bucket_fast(words, BUCKETS)
        keep_words = tf.cast(words != "", tf.float32)
        rate = tf.where(training, 0.1, 0.0)
        vectors = tf.nn.dropout(tf.gather(self.table, ids), rate)
        sums = tf.einsum("bwf,bw->bf", vectors, keep_words)
        mean = sums / tf.maximum(tf.reduce_sum(keep_words, axis=1, keepdims=True), 1.0)
        return tf.nn.dropout(tf.tanh(mean @ self.kernel + self.bias), 2 * rate)


handle = args.handle
if handle is None:
    handle = str(out / "hashed_words")
    tf.saved_model.save(HashedWords(), handle)
print(f"SavedModel: {handle}")

"""
## The model

The layer goes where any Keras layer goes. Strings enter the model as they are. Each alpha
starts from the same SavedModel and the same head.
"""


def build_model() -> keras.Model:
    """Builds the classifier around the SavedModel."""
    keras.utils.set_random_seed(0)
    sentences = keras.Input((), dtype="string", name="sentences")
    encoder = SavedModelLayer(handle, deterministic=args.deterministic, name="encoder")
    x = keras.layers.Dropout(0.1)(encoder(sentences))
    return keras.Model(sentences, keras.layers.Dense(2, name="logits")(x))


build_model().summary()

"""
## Training

`RDropModel` trains the model in place. `ConsistencyProbe` measures after each epoch how far two
dropout passes of the same rows are apart, for alpha 0 as for any other.
"""


def fit(alpha: float) -> tuple[keras.Model, dict]:
    """Fine-tunes with one alpha; returns the model and its curves."""
    model = build_model()
    rdrop = RDropModel(model, alpha=alpha)
    rdrop.compile(
        keras.optimizers.Adam(args.learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = rdrop.fit(
        x_train,
        train.labels,
        batch_size=args.batch_size,
        epochs=args.epochs,
        validation_data=(x_validation, validation.labels),
        callbacks=[ConsistencyProbe(model, x_validation[:256], symmetric_kl)],
        verbose=2,
    )
    return rdrop, history.history


runs = {alpha: fit(alpha) for alpha in (0.0, args.alpha)}

"""
## Evaluation

Evaluation makes one pass without dropout.
"""

for alpha, (rdrop, _) in runs.items():
    figures = rdrop.evaluate(x_validation, validation.labels, verbose=0, return_dict=True)
    print(f"alpha {alpha:g}:", ", ".join(f"{name} {v:.3f}" for name, v in figures.items()))

"""
## What R-Drop changes

Left the loss while training, in the middle that on rows that were not trained on, right the
distance of two dropout passes, which R-Drop holds down.
"""

PANELS = {
    "ce": "Cross-entropy in training, dropout on",
    "val_loss": "Cross-entropy on validation rows",
    "probe_kl": "KL of two dropout passes",
}
figure, panels = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
for axes, (name, title) in zip(panels, PANELS.items(), strict=True):
    for (alpha, (_, curves)), color in zip(runs.items(), ("#6b6b6b", "#d1495b"), strict=True):
        epochs = range(1, args.epochs + 1)
        axes.plot(epochs, curves[name], ".-", color=color, label=f"alpha {alpha:g}")
    axes.set(title=title, xlabel="epoch", ylabel="nats per example")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
panels[0].legend(frameon=False)
figure.savefig(out / "hub_fine_tuning.png", dpi=120)

"""
## Saving

The `.keras` file holds the SavedModel's files too, so it loads where the folder or the network
is not at hand. A SavedModel is a program, so Keras' safe mode refuses such a file: say
`safe_mode=False` of those that you trust, as here of one that was just written.
"""

path = out / "reviews.keras"
runs[args.alpha][0].model.save(path)
reviews = keras.saving.load_model(path, safe_mode=False)
examples = tf.constant(["the cast was brilliant", "a tedious script"])
for text, (blame, praise) in zip(
    examples.numpy(), keras.ops.softmax(reviews.predict(examples, verbose=0)), strict=True
):
    print(f"{text.decode()!r}: blame {float(blame):.2f}, praise {float(praise):.2f}")
