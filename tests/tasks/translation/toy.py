"""A language of ten words and its word for word translation: learned in seconds."""

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rdrop_tf.recipes import Recipe, find_recipe

WORDS = {
    "eins": "one",
    "zwei": "two",
    "drei": "three",
    "vier": "four",
    "fünf": "five",
    "sechs": "six",
    "sieben": "seven",
    "acht": "eight",
    "neun": "nine",
    "zehn": "ten",
}
ROWS = {"train": 300, "val": 20, "test_2016_flickr": 30}


def sentences(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Draws sentences of four to seven words and translates them."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(4, 8, count)
    chosen = [generator.choice(list(WORDS), length) for length in lengths]
    return (
        [" ".join(words) for words in chosen],
        [" ".join(WORDS[word] for word in words) for words in chosen],
    )


def write_files(folder: Path) -> Path:
    """Writes the parts as Multi30k has them: line-aligned, gzipped."""
    for seed, (name, count) in enumerate(ROWS.items()):
        for language, lines in zip(("de", "en"), sentences(count, seed), strict=True):
            text = "".join(f"{line}\n" for line in lines)
            (folder / f"{name}.{language}.gz").write_bytes(gzip.compress(text.encode("utf-8")))
    return folder


def recipe(folder: Path, epochs: int = 2, **model: Any) -> Recipe:
    """The recipe of Multi30k with a network that is much smaller."""
    full = find_recipe("multi30k/de-en")
    small = {"layers": 1, "width": 32, "hidden": 32, "heads": 2, "dropout": 0.05}
    return replace(
        full,
        epochs=epochs,
        batch_size=300,
        validate_every=max(1, epochs // 2),
        probe_every=max(1, epochs // 2),
        average=1,
        optimizer=replace(full.optimizer, learning_rate=1e-2, warmup=40),
        data={**full.data, "folder": str(folder), "vocabulary": 300},
        # So short that a search has one stage: tracing it is what takes the time of these tests.
        model={**full.model, "changes": small, "max_length": [0.0, 15], **model},
    )
