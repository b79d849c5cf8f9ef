"""GLUE: one sentence or two, to a class or a score."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.data import SimilarSizes
from rdrop_tf.losses import squared_difference, symmetric_kl
from rdrop_tf.metrics import glue_metrics, negative_log_likelihood
from rdrop_tf.tasks.glue.dataset import GlueDataset, section_of
from rdrop_tf.tasks.glue.datasets import GLUE_DATASETS, find_glue_dataset
from rdrop_tf.tasks.glue.encoders import RANDOM_TINY, load_classifier, load_preprocessor
from rdrop_tf.tasks.glue.lines import texts_from_line
from rdrop_tf.tasks.glue.rows import GlueRows
from rdrop_tf.tasks.glue.submission import Submission, write_submission
from rdrop_tf.tasks.glue.tfds_split import read_tfds_split
from rdrop_tf.tasks.glue.tokens import (
    SimilarLengths,
    cut_to_longest,
    lengths_of,
    rows_of_full_length,
    tokenize,
)
from rdrop_tf.tasks.glue.tsv_split import read_tsv_split
from rdrop_tf.tasks.held_out import hold_out
from rdrop_tf.tasks.parts import Examples, Splits
from rdrop_tf.tasks.precision import in_float32
from rdrop_tf.tasks.task import ACCURACY, Metric, Task
from rdrop_tf.tasks.training_batches import Grouping, Transform

METRICS = {
    "accuracy": ACCURACY,
    "f1": Metric("f1", 100, "", "points", higher_is_better=True),
    "matthews": Metric("matthews", 100, "", "points", higher_is_better=True),
    "pearson": Metric("pearson", 100, "", "points", higher_is_better=True),
    "spearman": Metric("spearman", 100, "", "points", higher_is_better=True),
}

# Where a KerasHub preset of the trained classifier lies in a run's folder, tokenizer included.
PRESET = "preset"


class Glue(Task):
    """A data set of GLUE on a pre-trained text encoder.

    Args:
        recipe: Its `data` says which data set (`glue_task`), where it lies (`folder`, None for
            tensorflow-datasets), which share or number of training rows is for `validation` (0
            takes the development part), how many training `rows` are used, from the first on, as
            the official files are in no order of their labels, and whether broken lines
            stop it (`strict`) or are left out with a warning; its `model` the
            KerasHub `preset`, the `sha256` of its weights' file (None for any), the
            `sequence_length` in tokens and the rank of `lora`.
        kept: The folder of a run whose lines are answered.
    """

    def __init__(self, recipe: Any, kept: Path | None = None) -> None:
        super().__init__(recipe, kept)
        self.dataset: GlueDataset = find_glue_dataset(recipe.data["glue_task"])
        if not self.dataset.metrics:
            raise ValueError(
                f"{self.dataset.name} has no labels to train on: train MNLI, and predict "
                f"{self.dataset.name} by `rdrop predict RUN --submission DIR`"
            )
        self._classifier: Any = None

    @property
    def metric(self) -> Metric:
        """The figure that GLUE chooses by."""
        return self._metrics[0]

    @property
    def more_metrics(self) -> Sequence[Metric]:
        """The other figures that GLUE reports."""
        further = [
            METRICS["accuracy"]._replace(name=f"{word} accuracy") for word in self._more_splits
        ]
        return [*self._metrics[1:], *further]

    @property
    def _metrics(self) -> list[Metric]:
        names = dict.fromkeys(name.partition("_")[0] for name in self.dataset.metrics)
        return [METRICS[name] for name in names]

    @property
    def _more_splits(self) -> dict[str, str]:
        """The development parts beside the first, by their section."""
        return {section_of(split): split for split in self.dataset.validation_splits[1:]}

    # Data

    def splits(self) -> Splits:
        """Reads and tokenizes the training and development parts, once."""
        return self._splits

    @property
    def prepared_settings(self) -> Mapping[str, Any]:
        """What decides the tokens: the data set's rows, and the preset that cuts them."""
        data, model = self.recipe.data, self.recipe.model
        preset = model["preset"] and Path(model["preset"]).name
        settings = {name: data[name] for name in ("glue_task", "rows", "validation", "seed")}
        return {**settings, "preset": preset, "sequence_length": model["sequence_length"]}

    def keep_prepared(self, folder: Path) -> Mapping[str, Any]:
        """Returns the vocabulary, where it was made from the texts."""
        if self.recipe.model["preset"] != RANDOM_TINY:
            return {}
        return {"vocabulary": self._preprocessor.tokenizer.get_vocabulary()}

    @cached_property
    def _splits(self) -> Splits:
        if self.prepared is not None:
            return self.prepared.splits()
        train = self._examples(self._training_rows, "train")
        development = {
            split: self._examples(self.read(split), split)
            for split in self.dataset.validation_splits
        }
        first = development[self.dataset.validation_splits[0]]
        more = {word: development[split] for word, split in self._more_splits.items()}
        validation, seed = self.recipe.data["validation"], self.recipe.data["seed"]
        if not validation:
            return Splits(train, first, first, more)
        by_class = not self.dataset.is_regression
        return Splits(*hold_out(train, validation, seed, by_class), first, more)

    @cached_property
    def _training_rows(self) -> GlueRows:
        rows = self.read("train")
        wanted = self.recipe.data["rows"]
        return GlueRows(
            tuple(texts[:wanted] for texts in rows.texts),
            None if rows.labels is None else rows.labels[:wanted],
            rows.ids[:wanted],
        )

    def read(self, split: str) -> GlueRows:
        """Reads a split of the data set from where the recipe says."""
        return self._read(self.dataset, split)

    def _read(self, dataset: GlueDataset, split: str) -> GlueRows:
        folder = self.recipe.data["folder"]
        if self.recipe.data["strict"]:
            dataset = replace(dataset, has_broken_lines=False)
        if folder is None:
            return read_tfds_split(dataset, split)
        return read_tsv_split(dataset, split, Path(folder))

    def _examples(self, rows: GlueRows, split: str) -> Examples:
        tokens = self._tokens(rows.texts, f"{self.dataset.name}, {split}")
        return Examples(tokens, np.asarray(rows.labels))

    def _tokens(self, texts: Sequence[Sequence[str]], what: str) -> dict[str, NDArray[Any]]:
        """Tokenizes texts; warns where they are cut, in training and in answers alike."""
        tokens = tokenize(self._preprocessor, texts)
        length = self.recipe.model["sequence_length"]
        full = rows_of_full_length(tokens, length)
        if full:
            warnings.warn(
                f"{what}: {full} of {len(texts[0])} rows fill all {length} tokens; what is beyond "
                "them is cut off",
                stacklevel=3,
            )
        return tokens

    def transform(self, seed: int) -> Transform | None:
        """Cuts batches to their longest row, where that compiles nothing anew."""
        return cut_to_longest if _takes_any_length() else None

    def grouping(self) -> Grouping | SimilarSizes | None:
        """Puts rows of similar length together, where batches are cut to them."""
        if not _takes_any_length():
            return None
        if self.prepared is not None:
            return SimilarSizes(self.prepared.sizes("train"))
        train = self._splits.train
        assert isinstance(train, Examples)  # texts are not streamed
        return SimilarLengths(lengths_of(train))

    # Model

    @cached_property
    def _preprocessor(self) -> Any:
        preset, length = self.recipe.model["preset"], self.recipe.model["sequence_length"]
        if self.kept is not None:
            return load_preprocessor(str(self.kept / PRESET), sequence_length=length)
        if preset is None:
            raise ValueError(
                f"the recipe {self.recipe.name!r} takes an encoder of yours: add --preset with "
                "the folder of one, or --preset random-tiny"
            )
        if self.prepared is not None:
            words = self.prepared.kept.get("vocabulary")
            return load_preprocessor(preset, sequence_length=length, vocabulary=words)
        texts = (text for column in self._training_rows.texts for text in column)
        return load_preprocessor(preset, sequence_length=length, texts=texts)

    def model(self) -> keras.Model:
        """Builds the classifier's graph on token ids; it shares the KerasHub task's weights."""
        self._classifier = self.classifier(self._preprocessor)
        logits = in_float32(self._classifier.output)
        return keras.Model(self._classifier.input, logits, name=self._classifier.name)

    def classifier(self, preprocessor: Any) -> Any:
        """Makes the KerasHub task."""
        settings = self.recipe.model
        return load_classifier(
            settings["preset"],
            outputs=max(1, len(self.dataset.labels)),
            sequence_length=settings["sequence_length"],
            preprocessor=preprocessor,
            lora=settings["lora"],
            sha256=settings["sha256"],
        )

    def loss(self) -> keras.losses.Loss:
        """Returns the cross-entropy of logits, or the squared error of scores."""
        if self.dataset.is_regression:
            return keras.losses.MeanSquaredError()
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def divergence(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the paper's divergence of logits, or the squared difference of scores."""
        if self.dataset.is_regression:
            return squared_difference(first, second)
        return symmetric_kl(first, second)

    # Figures and answers

    def figures(self, y: NDArray[Any], predictions: NDArray[Any]) -> Mapping[str, float]:
        """Works out what GLUE reports, and the loss."""
        if self.dataset.is_regression:
            loss = float(np.mean((y.astype(np.float64) - predictions[:, 0]) ** 2))
        else:
            loss = negative_log_likelihood(y, predictions)
        return {**glue_metrics(self.dataset.name, y, self._answers(predictions)), "loss": loss}

    def _answers(self, predictions: NDArray[Any]) -> NDArray[Any]:
        return predictions[:, 0] if self.dataset.is_regression else predictions.argmax(axis=-1)

    def keep(self, folder: Path) -> None:
        """Writes the trained classifier as a KerasHub preset, tokenizer included."""
        self._classifier.save_to_preset(str(folder / PRESET))

    def read_line(self, line: str) -> tuple[str, ...]:
        """Reads one sentence, or two with a tab between."""
        return texts_from_line(line, len(self.dataset.texts))

    def inputs(self, rows: Sequence[Any]) -> Nested:
        """Tokenizes sentences."""
        texts = [list(column) for column in zip(*rows, strict=True)]
        return self._tokens(texts, "the given lines")

    def write_lines(self, predictions: NDArray[Any]) -> Sequence[str]:
        """Writes the name of the class, or the score."""
        answers = self._answers(predictions)
        if self.dataset.is_regression:
            return [f"{score:.3f}" for score in answers]
        return [self.dataset.labels[answer] for answer in answers]

    def submissions(self, model: keras.Model, folder: Path) -> Sequence[str]:
        """Writes what gluebenchmark.com takes: the answers to all test rows.

        A model of MNLI also answers the diagnostic data set AX, where that is at hand.

        Args:
            model: The trained model.
            folder: Where to.

        Returns:
            A sentence for each file: its path, its rows, and whether those are all.

        Raises:
            OSError: If the test rows are not there.
        """
        written = [
            self._submission(model, folder, self.dataset, split)
            for split in self.dataset.test_splits
        ]
        if self.dataset.name == "MNLI":
            try:
                written.append(self._submission(model, folder, GLUE_DATASETS["AX"], "test"))
            except OSError as error:
                warnings.warn(f"AX is left out: {error}", stacklevel=2)
        return [submission.describe() for submission in written]

    def _submission(
        self, model: keras.Model, folder: Path, dataset: GlueDataset, split: str
    ) -> Submission:
        rows = self._read(dataset, split)
        tokens = self._tokens(rows.texts, f"{dataset.name}, {split}")
        predicted = model.predict(tokens, batch_size=self.evaluation_batch, verbose=0)
        return write_submission(folder, dataset, rows.ids, self._answers(predicted), split)


def _takes_any_length() -> bool:
    return keras.backend.backend() == "tensorflow"
