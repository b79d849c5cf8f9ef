"""GLUE: the paper's recipes for two encoders, and those for a small encoder measured here.

Paper: arXiv 2106.14448, appendix: batch, updates and warm-up of each data set, Adam (.9, .98,
1e-6), weight decay .01, linear decay, learning rate 1e-5, alpha. Its updates are 10 epochs of
each training part, which is how the recipes say it; the warm-up is a share of them.
"""

from typing import NamedTuple

from rdrop_tf.recipes.recipe import Optimizer, Recipe

ENCODERS = {
    "bert-base": "bert_base_en_uncased",
    "roberta-large": "roberta_large_en",
}


class PaperSettings(NamedTuple):
    """A row of the paper's table, and its results with and without R-Drop."""

    alpha: float
    batch_size: int
    updates: int
    warmup: int
    bert_base: tuple[float, float]
    roberta_large: tuple[float, float]
    sequence_length: int = 128


PAPER = {
    "CoLA": PaperSettings(0.5, 16, 5336, 320, (62.3, 62.6), (68.0, 70.0)),
    "MRPC": PaperSettings(1.0, 16, 2296, 137, (85.3, 87.3), (90.9, 91.4)),
    "RTE": PaperSettings(1.0, 8, 3120, 122, (68.2, 71.1), (86.6, 88.4), sequence_length=256),
    "SST-2": PaperSettings(1.0, 32, 20935, 1256, (92.4, 93.0), (96.4, 96.9)),
    "MNLI": PaperSettings(0.5, 32, 123873, 7432, (83.8, 85.5), (90.2, 90.9)),
    "QNLI": PaperSettings(1.0, 32, 33112, 1986, (90.8, 92.0), (94.7, 95.2)),
    "QQP": PaperSettings(0.5, 32, 113272, 28318, (91.0, 91.4), (92.2, 92.5)),
    "STS-B": PaperSettings(1.0, 16, 3598, 214, (89.3, 89.6), (92.4, 92.5)),
}

SUMMARIES = {
    "CoLA": "is it a grammatical sentence?",
    "MRPC": "do two sentences say the same?",
    "RTE": "does the second sentence follow from the first?",
    "SST-2": "does a film review praise?",
    "MNLI": "does the hypothesis follow from the premise, contradict it, or neither?",
    "QNLI": "does the sentence answer the question?",
    "QQP": "do two questions ask the same?",
    "STS-B": "how similar are two sentences, from 0 to 5?",
    "WNLI": "does the second sentence, with a pronoun replaced, follow from the first?",
}

SOURCE = "gluebenchmark.com: its tsv files in --data DIR, or tensorflow-datasets (glue/{})"


def recipe_name(glue_task: str, encoder: str) -> str:
    """Returns the name of a recipe.

    Args:
        glue_task: GLUE's name of the data set.
        encoder: One of `ENCODERS`.

    Returns:
        What the user types.

    Example:
    >>> recipe_name("SST-2", "bert-base")
    'sst-2-bert-base'
    """
    return f"{glue_task.lower()}-{encoder}"


def _paper_recipe(glue_task: str, encoder: str) -> Recipe:
    settings = PAPER[glue_task]
    baseline, rdrop = getattr(settings, encoder.replace("-", "_"))
    return Recipe(
        name=recipe_name(glue_task, encoder),
        task="glue",
        summary=f"GLUE {glue_task}: {SUMMARIES[glue_task]} {encoder}",
        source=SOURCE.format(_tfds_name(glue_task)),
        paper=f"development part {baseline}, with R-Drop {rdrop}",
        alpha=settings.alpha,
        forward="two_calls",
        seeds=5,
        epochs=10,
        batch_size=settings.batch_size,
        optimizer=Optimizer(
            learning_rate=1e-5,
            schedule="linear",
            warmup=settings.warmup / settings.updates,
            beta_2=0.98,
            epsilon=1e-6,
            weight_decay=0.01,
        ),
        data=_data(glue_task),
        model=_model(ENCODERS[encoder], settings.sequence_length),
    )


def _winograd(encoder: str) -> Recipe:
    """WNLI is none of the paper's: RTE's settings, the nearest in kind and size."""
    from dataclasses import replace

    like = _paper_recipe("RTE", encoder)
    return replace(
        like,
        name=recipe_name("WNLI", encoder),
        summary=f"GLUE WNLI: {SUMMARIES['WNLI']} {encoder}",
        source=SOURCE.format("wnli"),
        paper="not a data set of the paper; the settings are those of RTE",
        data=_data("WNLI"),
    )


def _data(glue_task: str, validation: float = 0.0, rows: int | None = None) -> dict[str, object]:
    """The settings of the data.

    `validation` is the share of the training rows to choose by; with 0 that is the development
    part, as in the paper, which is then both chosen by and reported. `rows` takes the first so
    many training rows.
    """
    return {
        "glue_task": glue_task,
        "folder": None,
        "strict": False,
        "validation": validation,
        "rows": rows,
        "seed": 0,
    }


def _model(preset: str | None, sequence_length: int) -> dict[str, object]:
    return {"preset": preset, "sha256": None, "lora": None, "sequence_length": sequence_length}


def _tfds_name(glue_task: str) -> str:
    return {"STS-B": "stsb", "SST-2": "sst2"}.get(glue_task, glue_task.lower())


def _small_encoder_recipe(
    glue_task: str, alpha: float, learning_rate: float, epochs: int, rows: int | None = None
) -> Recipe:
    """A recipe for a small encoder of the user's, which a CPU can train.

    The learning rate is an ordinary value that nothing has chosen. Alpha is the better of 1 and 4
    at that rate, by `benchmarks/quality.py`: on a tenth of the training rows that is held out,
    over two seeds that nothing reports; of equal ones the smaller.
    """
    part = f", the first {rows:,} rows" if rows else ""
    return Recipe(
        name=recipe_name(glue_task, "small"),
        task="glue",
        summary=f"GLUE {glue_task}{part}: {SUMMARIES[glue_task]} a small encoder (--preset)",
        source=SOURCE.format(_tfds_name(glue_task)),
        paper="other encoders: see the other recipes of this data set",
        alpha=alpha,
        forward="two_calls",
        seeds=5,
        epochs=epochs,
        batch_size=16,
        optimizer=Optimizer(
            learning_rate=learning_rate,
            schedule="linear",
            warmup=0.06,
            beta_2=0.98,
            epsilon=1e-6,
            weight_decay=0.01,
        ),
        data=_data(glue_task, validation=0.1, rows=rows),
        model=_model(None, 256 if glue_task == "RTE" else 128),
    )


GLUE = (
    _small_encoder_recipe("MRPC", alpha=4.0, learning_rate=1e-4, epochs=3),
    _small_encoder_recipe("RTE", alpha=1.0, learning_rate=1e-4, epochs=3),
    _small_encoder_recipe("STS-B", alpha=4.0, learning_rate=1e-4, epochs=3),
    _small_encoder_recipe("SST-2", alpha=1.0, learning_rate=1e-4, epochs=3, rows=8000),
    *(_paper_recipe(glue_task, encoder) for encoder in ENCODERS for glue_task in PAPER),
    *(_winograd(encoder) for encoder in ENCODERS),
)
