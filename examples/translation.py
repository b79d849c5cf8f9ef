# ruff: noqa: D205, D212, D415, E402
"""
Title: Translation with R-Drop
Author: rdrop_tf contributors
Date created: 2026/11/26
Last modified: 2026/11/26
Description: A Transformer from two text files to a BLEU score, with and without R-Drop.
Accelerator: GPU
"""

"""
## Introduction

R-Drop ([Liang et al., 2021](https://arxiv.org/abs/2106.14448)) makes two passes of each batch, with
two dropout masks, and adds `alpha` times the divergence of the two predictions to the loss. Its
largest gains were in translation: 34.64 to 37.25 BLEU on IWSLT14 German-English, with alpha 5.

This example goes the whole way of such a result by hand: subwords, batches by token count, a
Transformer, training with label smoothing and an inverse square root schedule, beam search, BLEU
with its signature, and a translator to serve.

    python examples/translation.py --data multi30k --source de --target en
    RDROP_SMOKE=1 python examples/translation.py

The first line takes a folder with line-aligned files (`train.de`, `train.en`, `val.de` and so on,
plain or gz) and wants a GPU. The second one runs offline, on a made-up language of ten words, in
about half a minute on two processor cores.
"""

"""
## Setup

`pip install "rdrop_tf[text]"` installs what is imported here.
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
from rdrop_tf.losses import SmoothedSparseCategoricalCrossentropy
from rdrop_tf.metrics.translation import translation_figures
from rdrop_tf.text import (
    ParallelText,
    Subwords,
    TokenBatches,
    Transformer,
    export_translator,
    read_parallel,
)
from rdrop_tf.text.decoding import Generator
from rdrop_tf.text.find_parallel import find_parallel
from rdrop_tf.training import make_optimizer

SMOKE = os.environ.get("RDROP_SMOKE") == "1"

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--data", type=Path, help="folder of the line-aligned files")
parser.add_argument("--source", default="de")
parser.add_argument("--target", default="en")
parser.add_argument("--vocabulary", type=int, default=310 if SMOKE else 8000)
parser.add_argument("--size", default="tiny")
parser.add_argument("--alpha", type=float, default=1.0 if SMOKE else 5.0)
parser.add_argument("--epochs", type=int, default=5 if SMOKE else 30)
parser.add_argument("--tokens", type=int, default=300 if SMOKE else 4096)
parser.add_argument("--learning-rate", type=float, default=1e-2 if SMOKE else 2e-3)
parser.add_argument("--out", type=Path, help="folder of the picture and the translator")
args, unknown = parser.parse_known_args()
# The arguments of a notebook's process are not ours; those of a script with a typing error are.
if unknown and "ipykernel" not in sys.modules:
    parser.error(f"unrecognized arguments: {' '.join(unknown)}")
if not SMOKE and args.data is None:
    parser.error("--data is needed: a folder with train, val and test files of both languages")

out = args.out or Path(tempfile.mkdtemp(prefix="rdrop_translation_"))
out.mkdir(parents=True, exist_ok=True)
print(f"picture and translator: {out}")

"""
## Data

`read_parallel` reads two files side by side and counts what it leaves out: empty lines, broken
characters. In smoke mode the text is made up: numbers in German and, word for word, in English.
"""

NUMBERS = {
    "eins": "one", "zwei": "two", "drei": "three", "vier": "four", "fünf": "five",
    "sechs": "six", "sieben": "seven", "acht": "eight", "neun": "nine", "zehn": "ten",
}  # fmt: skip


def make_up(sentences: int, seed: int) -> ParallelText:
    """Draws sentences of four to seven numbers, and translates them."""
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(list(NUMBERS), rng.integers(4, 8)) for _ in range(sentences)]
    return ParallelText(
        [" ".join(words) for words in drawn],
        [" ".join(NUMBERS[word] for word in words) for words in drawn],
    )


if SMOKE:
    train, test = make_up(300, seed=0), make_up(40, seed=1)
else:
    train = read_parallel(*find_parallel(args.data, "train", args.source, args.target))
    files = find_parallel(args.data, "test", args.source, args.target)
    test = read_parallel(*files, every_line=True)
    print(train.report)
print(f"{len(train):,} pairs, e.g. {train.source[0]!r} -> {train.target[0]!r}")

"""
## Subwords and batches

One vocabulary for both languages, trained by sentencepiece on the training text. A batch holds
sentences of similar length, as many as fit into `tokens`: little of it is padding, and few shapes
occur, so that little is compiled.
"""

subwords = Subwords.train([*train.source, *train.target], args.vocabulary)
batches = TokenBatches.from_text(train, subwords, subwords, tokens=args.tokens)
print(f"{len(batches)} batches an epoch, {batches.fill(0).padding_share:.1%} padding")

"""
## Training

The Transformer ends in a `VocabularyHead`: neither pass's logits ever exist as a whole. The loss is
a mean over the tokens, whatever the lengths of the sentences. The same seed for each alpha makes
the runs start from the same weights, in the same order of batches.
"""

SMALL = {"layers": 1, "width": 32, "hidden": 32, "heads": 2, "dropout": 0.05} if SMOKE else {}


def fit(alpha: float) -> tuple[Transformer, dict]:
    """Trains with one alpha; returns the Transformer and its curves."""
    keras.utils.set_random_seed(0)
    transformer = Transformer.of_size(args.size, subwords.size, **SMALL)
    rdrop = RDropModel(transformer, alpha=alpha)
    batches.move_to(0)
    optimizer = make_optimizer(
        transformer,
        args.epochs * len(batches),
        learning_rate=args.learning_rate,
        schedule="inverse_square_root",
        warmup=20 if SMOKE else 1000,
        beta_2=0.98,
    )
    loss = SmoothedSparseCategoricalCrossentropy(
        from_logits=True, label_smoothing=0.1, reduction="mean_with_sample_weight"
    )
    rdrop.compile(optimizer, loss)
    history = rdrop.fit(batches, epochs=args.epochs, shuffle=False, verbose=2)
    return transformer, history.history


runs = {alpha: fit(alpha) for alpha in (0.0, args.alpha)}

"""
## Translation and BLEU

`Generator` decodes any number of sentences with one compiled beam search for each shape.
sacreBLEU's signature says how a score was computed; scores with different ones do not compare. The
score of a single seed says little: repeat it before you believe a difference.
"""


def translate(transformer: Transformer, sentences: list[str]) -> list[str]:
    """Translates sentences, in their order."""
    generate = Generator(transformer, beams=5, max_length=(1.2, 10))
    ids = [[*row, subwords.end_id] for row in subwords.encode(sentences)]
    return subwords.decode(generate(ids).tokens[:, 0].tolist())


for alpha, (transformer, _) in runs.items():
    translations = translate(transformer, test.source)
    bleu = translation_figures(translations, test.target, language=args.target)["sacrebleu"]
    print(f"alpha {alpha:g}: BLEU {bleu.score:.2f} ({bleu.signature})")
    print(f"    {test.source[0]!r} -> {translations[0]!r}")

"""
## What R-Drop changes

The left panel is the loss in training, the right one the divergence of the two passes, which R-Drop
holds down. With alpha 0 there is one pass, and no divergence to show.
"""

figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for (alpha, (_, curves)), color in zip(runs.items(), ("#6b6b6b", "#d1495b"), strict=True):
    epochs = range(1, args.epochs + 1)
    panels[0].plot(epochs, curves["ce"], ".-", color=color, label=f"alpha {alpha:g}")
    if alpha:
        panels[1].plot(epochs, curves["kl"], ".-", color=color, label=f"alpha {alpha:g}")
for axes, title in zip(
    panels, ("Cross-entropy in training (nats a token)", "KL of the two passes"), strict=True
):
    axes.set(title=title, xlabel="epoch")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
figure.savefig(out / "translation.png", dpi=120)

"""
## A translator to serve

One SavedModel with the vocabulary and the beam search inside: text in, text out. Whoever loads it
needs TensorFlow and tensorflow-text, and nothing of this package.
"""

export_translator(out / "translator", runs[args.alpha][0], subwords, subwords, beams=5)

served = tf.saved_model.load(out / "translator")
answers = served.serve(tf.constant(test.source[:2])).numpy()
for source, translation in zip(test.source, answers, strict=False):
    print(f"{source!r} -> {translation.decode('utf-8')!r}")

"""
## Where to go from here

`rdrop train iwslt14/de-en --data DIR` is the paper's whole recipe as a command, with checkpoints,
averaging and figures by epoch; `rdrop evaluate RUN --against OTHER` adds the interval of the score
and the paired test of two runs; `rdrop predict RUN` translates lines as they come.
"""
