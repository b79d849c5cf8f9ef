"""Translation: the paper's recipes for IWSLT and WMT, and Multi30k with a small Transformer.

Paper: arXiv 2106.14448, sections 3.1 and 3.2 and appendix: alpha 5, label smoothing .1, Adam
(.9, .98), an inverse square root of peak 5e-4 after 4,000 updates of warm-up, 4,096 tokens a step
and up to 300,000 steps; IWSLT lower-cased, with 10,000 joint subwords (Chinese has its own) and
weight decay 1e-4; WMT with 32,000. Epochs are those that come nearest to the steps, at
`TOKENS_A_PAIR` target subwords a sentence. On WMT the learning rate, the warm-up and the 64k
tokens of an update are the authors' later advice; a step is a slice of 4,096 of them.

Multi30k is none of the paper's: the learning rate of Wu et al. (ACL 2021, "Good for Misconceived
Reasons") for a Transformer of this size, with the dropout and epochs that fit an hour on two cores.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rdrop_tf.recipes.recipe import Optimizer, Recipe

STEPS, TOKENS = 300_000, 4096
# Averages of the training parts in subwords, rounded.
TOKENS_A_PAIR = {"iwslt": 25, "wmt": 30}
WMT_SLICES = 16

LANGUAGES = {
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "zh": "Chinese",
}

FILES = "--data DIR with train, validation and test, each as a .{} and a .{} file, plain or gz"


class Direction(NamedTuple):
    """Two languages, the training pairs, and BLEU without and with R-Drop."""

    source: str
    target: str
    pairs: int
    baseline: float
    rdrop: float

    @property
    def name(self) -> str:
        """Returns both codes, as in "de-en"."""
        return f"{self.source}-{self.target}"


IWSLT = {
    "iwslt14": (
        Direction("de", "en", 160_239, 34.64, 37.25),
        Direction("en", "de", 160_239, 28.57, 30.72),
        Direction("es", "en", 169_030, 40.6, 43.2),
        Direction("en", "es", 169_030, 39.0, 41.8),
    ),
    "iwslt17": (
        Direction("fr", "en", 236_653, 36.1, 38.9),
        Direction("en", "fr", 236_653, 35.9, 38.0),
        Direction("zh", "en", 235_078, 18.4, 19.5),
        Direction("en", "zh", 235_078, 26.3, 28.1),
    ),
}
# Beams and length penalty differ.
WMT = (
    (Direction("en", "de", 4_500_966, 29.12, 30.91), 4, 0.6),
    (Direction("en", "fr", 35_762_532, 42.69, 43.95), 5, 1.0),
)


def _iwslt(year: str, direction: Direction) -> Recipe:
    german = {direction.source, direction.target} == {"de", "en"}
    return Recipe(
        name=f"{year}/{direction.name}",
        task="translation",
        summary=_summary(year.upper(), direction, "a Transformer of 6 and 6 layers of 512"),
        source=FILES.format(direction.source, direction.target) + " (wit3.fbk.eu)",
        paper=_paper("tokenized BLEU" if german else "BLEU", direction),
        alpha=5.0,
        forward="concat",
        seeds=3,
        epochs=_epochs(direction.pairs * TOKENS_A_PAIR["iwslt"], STEPS),
        batch_size=TOKENS,
        optimizer=_optimizer(5e-4, 4000, weight_decay=1e-4),
        validate_every=5,
        probe_every=5,
        data=_data(
            direction,
            vocabulary=10_000,
            joint="zh" not in direction,
            lower=True,
            metric="tokenized_bleu" if german else "sacrebleu",
        ),
        model=_model("iwslt"),
    )


def _wmt(direction: Direction, beams: int, length_penalty: float) -> Recipe:
    tfds = f"wmt14_translate/{direction.target}-{direction.source}"
    return Recipe(
        name=f"wmt14/{direction.name}",
        task="translation",
        summary=_summary("WMT14", direction, "a Transformer of 6 and 6 layers of 1,024"),
        source=f"{FILES.format(*direction[:2])}, or tensorflow-datasets ({tfds})",
        paper=_paper("BLEU", direction),
        alpha=5.0,
        forward="concat",
        seeds=1,
        epochs=_epochs(direction.pairs * TOKENS_A_PAIR["wmt"], STEPS * WMT_SLICES),
        batch_size=TOKENS,
        optimizer=_optimizer(1e-3, 6000 * WMT_SLICES, accumulation=WMT_SLICES),
        data=_data(
            direction, vocabulary=32_000, joint=True, lower=False, metric="sacrebleu", tfds=tfds
        ),
        model=_model(
            "big",
            beams=beams,
            length_penalty=length_penalty,
            dropout=0.1,
            attention_dropout=0.1,
            activation_dropout=0.1,
        ),
    )


def _multi30k(direction: Direction) -> Recipe:
    return Recipe(
        name=f"multi30k/{direction.name}",
        task="translation",
        summary=_summary("Multi30k", direction, "a Transformer of 4 and 4 layers of 128"),
        source=FILES.format(direction.source, direction.target)
        + " (github.com/multi30k/dataset, task 1: train, val, test_2016_flickr)",
        paper="not a data set of the paper",
        alpha=5.0,
        forward="two_calls",
        seeds=3,
        epochs=20,
        batch_size=2048,
        optimizer=_optimizer(5e-3, 1000, weight_decay=1e-4),
        validate_every=2,
        probe_every=5,
        average=5,
        data=_data(
            direction,
            vocabulary=8000,
            joint=True,
            lower=False,
            metric="sacrebleu",
        ),
        model=_model("tiny"),
    )


def _summary(data: str, direction: Direction, network: str) -> str:
    source, target = LANGUAGES[direction.source], LANGUAGES[direction.target]
    return f"{data}: {source} into {target}, {network}"


def _paper(figure: str, direction: Direction) -> str:
    return f"{figure} {direction.baseline}, with R-Drop {direction.rdrop}"


def _epochs(tokens: int, steps: int) -> int:
    return round(steps * TOKENS / tokens)


def _optimizer(
    learning_rate: float, warmup: int, *, weight_decay: float = 0.0, accumulation: int = 1
) -> Optimizer:
    return Optimizer(
        learning_rate=learning_rate,
        schedule="inverse_square_root",
        warmup=warmup,
        beta_2=0.98,
        epsilon=1e-8,
        weight_decay=weight_decay,
        accumulation=accumulation,
    )


def _data(
    direction: Direction,
    *,
    vocabulary: int,
    joint: bool,
    lower: bool,
    metric: str,
    tfds: str | None = None,
) -> Mapping[str, Any]:
    """The settings of the data; see `rdrop_tf.tasks.translation.task.Translation`."""
    return {
        "folder": None,
        "tfds": tfds,
        "source": direction.source,
        "target": direction.target,
        "rows": None,
        "splits": {split: split for split in ("train", "validation", "test")},
        "subwords": None,
        "vocabulary": vocabulary,
        "joint": joint,
        "kind": "bpe",
        "character_coverage": 1.0,
        "lower": lower,
        "normalization": "nfkc",
        "subword_dropout": 0.0,
        "longest": 256,
        "buckets": 64,
        "metric": metric,
    }


def _model(
    size: str, *, beams: int = 5, length_penalty: float = 1.0, **changes: float
) -> Mapping[str, Any]:
    return {
        "size": size,
        "changes": changes,
        "label_smoothing": 0.1,
        "beams": beams,
        "validation_beams": 1,
        "length_penalty": length_penalty,
        "min_length": [0.0, 0],
        "max_length": [1.2, 10],
    }


TRANSLATION = (
    *(_multi30k(Direction(*pair, 29_000, 0.0, 0.0)) for pair in (("en", "de"), ("de", "en"))),
    *(_iwslt(year, direction) for year, directions in IWSLT.items() for direction in directions),
    *(_wmt(*row) for row in WMT),
)
