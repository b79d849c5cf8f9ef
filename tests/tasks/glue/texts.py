"""Made-up data sets in GLUE's layouts, small encoders for them, and recipes of both."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rdrop_tf.recipes import Recipe, find_recipe

GOOD, BAD = ["good", "great", "fine", "warm"], ["bad", "dull", "cold", "poor"]
NOUNS = ["film", "play", "book", "song"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "is", "not", "and"]
VOCABULARY += [*GOOD, *BAD, *NOUNS]

_RNG = np.random.default_rng(0)


def write_data(folder: Path) -> Path:
    """Writes SST-2, MRPC, STS-B, MNLI and AX, a few dozen rows each."""
    for name, files in _FILES.items():
        (folder / name).mkdir(parents=True)
        for file, (header, rows) in files.items():
            lines = ["\t".join(fields) for fields in ([header] if header else []) + rows]
            (folder / name / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def glue_recipe(name: str, folder: Path | None, preset: Any, **changes: Any) -> Recipe:
    """Shrinks a recipe to one epoch of the made-up rows; `changes` go to its data or model."""
    recipe = find_recipe(name)
    data = {name: changes.pop(name) for name in [*changes] if name in recipe.data}
    model = {"preset": preset, "sequence_length": 16, **changes}
    optimizer = replace(recipe.optimizer, learning_rate=3e-3, warmup=0.1)
    return replace(
        recipe,
        epochs=1,
        batch_size=8,
        optimizer=optimizer,
        data={**recipe.data, "folder": None if folder is None else str(folder), **data},
        model={**recipe.model, **model},
    )


def preprocessor(length: int = 16) -> Any:
    import keras_hub

    tokenizer = keras_hub.models.BertTokenizer(vocabulary=VOCABULARY, lowercase=True)
    return keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=length)


def backbone(positions: int = 32) -> Any:
    import keras_hub

    return keras_hub.models.BertBackbone(
        vocabulary_size=len(VOCABULARY),
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=12,
        dropout=0.1,
        max_sequence_length=positions,
    )


def write_preset(folder: Path, positions: int = 32) -> Path:
    """Saves a small BERT as KerasHub does.

    Its weights are larger than KerasHub draws them: from these a text this short would become
    nearly the same number as any other, and rounding decide what figures are.
    """
    import keras_hub

    encoder = backbone(positions)
    for weight in encoder.weights:
        if weight.name in ("kernel", "embeddings"):
            weight.assign(weight * 10.0)
    classifier = keras_hub.models.BertTextClassifier(
        encoder, num_classes=2, preprocessor=preprocessor()
    )
    classifier.save_to_preset(str(folder))
    return folder


def _sentence(positive: bool) -> str:
    first, second = _RNG.choice(GOOD if positive else BAD, 2)
    return f"the {_RNG.choice(NOUNS)} is {first} and {second}"


def _sst2(rows: int) -> list[list[str]]:
    return [[_sentence(bool(row % 2)) + " ", str(row % 2)] for row in range(rows)]


def _mrpc(rows: int) -> list[list[str]]:
    found = []
    for row in range(rows):
        first = _sentence(bool(_RNG.integers(2)))
        second = first if row % 3 else _sentence(bool(_RNG.integers(2)))
        found.append([str(int(row % 3 > 0)), str(2 * row), str(2 * row + 1), first, second])
    return found


def _scored(rows: int) -> list[list[str]]:
    found = []
    for row in range(rows):
        score = 5 * row / (rows - 1)
        found.append([str(row), _sentence(score > 2), _sentence(True), f"{score:.3f}"])
    return found


def _nli(rows: int) -> list[list[str]]:
    labels = ["entailment", "neutral", "contradiction"]
    return [
        [str(row), _sentence(True), _sentence(row % 3 < 2), labels[row % 3]] for row in range(rows)
    ]


def _without_labels(rows: list[list[str]]) -> list[list[str]]:
    return [row[:-1] for row in rows]


_PAIR = ["index", "sentence1", "sentence2"]
_FILES: dict[str, dict[str, tuple[list[str], list[list[str]]]]] = {
    "SST-2": {
        "train.tsv": (["sentence", "label"], _sst2(40)),
        "dev.tsv": (["sentence", "label"], _sst2(14)),
        "test.tsv": (["index", "sentence"], [[str(i), _sentence(bool(i % 2))] for i in range(5)]),
    },
    "MRPC": {
        "train.tsv": (["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"], _mrpc(41)),
        "dev.tsv": (["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"], _mrpc(17)),
        "test.tsv": (
            ["index", "#1 ID", "#2 ID", "#1 String", "#2 String"],
            [[str(i), *row[1:]] for i, row in enumerate(_mrpc(6))],
        ),
    },
    "STS-B": {
        "train.tsv": ([*_PAIR, "score"], _scored(40)),
        "dev.tsv": ([*_PAIR, "score"], _scored(15)),
        "test.tsv": (_PAIR, _without_labels(_scored(7))),
    },
    "MNLI": {
        "train.tsv": ([*_PAIR, "gold_label"], _nli(36)),
        "dev_matched.tsv": ([*_PAIR, "gold_label"], _nli(12)),
        "dev_mismatched.tsv": ([*_PAIR, "gold_label"], _nli(15)),
        "test_matched.tsv": (_PAIR, _without_labels(_nli(4))),
        "test_mismatched.tsv": (_PAIR, _without_labels(_nli(3))),
    },
    "AX": {"diagnostic.tsv": (_PAIR, _without_labels(_nli(8)))},
}
