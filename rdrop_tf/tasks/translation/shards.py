"""Pairs of sentences as shards: those that are trained on in subwords, the others as texts."""

from pathlib import Path
from typing import Any

import numpy as np

from rdrop_tf.data import Shards, write_shards
from rdrop_tf.tasks.parts import Examples, NumberedRows, Splits
from rdrop_tf.tasks.prepared import Prepared, rows_of
from rdrop_tf.text.batches import Rows

REPORTED = ("validation", "test")
# Pairs of a file of shards: one file's lengths and plan are in memory at a time.
PAIRS_A_SHARD = 100_000
DECIDES_SUBWORDS = (
    "tfds",
    "source",
    "target",
    "rows",
    "subwords",
    "vocabulary",
    "joint",
    "kind",
    "character_coverage",
    "lower",
    "normalization",
    "longest",
)


def splits_of(prepared: Prepared) -> Splits:
    """Returns the parts to report with their texts; the training part is in subwords alone."""
    train = prepared.shards("train")
    validation, test = (_texts_in(prepared.shards(name)) for name in REPORTED)
    return Splits(NumberedRows(train.read, len(train)), validation, test)


def _texts_in(shards: Shards) -> Examples:
    rows = shards.read(np.arange(len(shards)))
    source, target = ([text.decode() for text in rows[side].numpy()] for side in ("x", "y"))
    return Examples(np.array(source, object), np.array(target, object))


def pairs_of_common_length(shards: Shards, rows: int) -> tuple[list[Any], list[Any]]:
    """Reads pairs of the first file whose targets have the most common length."""
    lengths = shards.lengths(0)[:, shards.measured.index("target")]
    chosen = np.flatnonzero(lengths == np.bincount(lengths).argmax())[:rows]
    read = shards.read(chosen)
    sides = (read[name].numpy() for name in ("source", "target"))
    source, target = ([np.trim_zeros(row, "b") for row in side] for side in sides)
    return source, target


def write_pairs(folder: Path, sides: tuple[Rows, Rows], splits: Splits) -> dict[str, int]:
    """Writes the training pairs' subwords and the other parts' texts; returns the rows of each."""
    pairs = (
        {"source": np.array(source, np.int32), "target": np.array(target, np.int32)}
        for source, target in zip(*sides, strict=True)
    )
    written = {"train": write_shards(pairs, folder / "train", PAIRS_A_SHARD)}
    for name in REPORTED:
        written[name] = write_shards(rows_of(getattr(splits, name)), folder / name)
    return written
