"""What a task is: data, model, loss, metrics and the form of a line, put together."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.data import EpochData, SimilarSizes
from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks.parts import (
    Part,
    Splits,
    first_inputs,
)
from rdrop_tf.tasks.parts import predictions as predictions_of
from rdrop_tf.tasks.prepared import Prepared, describe, is_prepared, write_parts
from rdrop_tf.tasks.training_batches import Grouping, TrainingBatches, Transform
from rdrop_tf.training import make_optimizer


class Metric(NamedTuple):
    """A figure that people read.

    `name` is its name among a task's figures. For people its value is multiplied by `scale`
    (100 for a share shown in per cent), with `unit` behind it and `difference_unit` behind a
    difference.
    """

    name: str
    scale: float
    unit: str
    difference_unit: str
    higher_is_better: bool

    def show(self, value: float) -> str:
        """Writes a value as people read it.

        Args:
            value: The metric's value.

        Returns:
            The value with its unit.

        Example:
        >>> ACCURACY.show(0.8642)
        '86.42 %'
        """
        return f"{self.scale * value:.2f} {self.unit}".rstrip()


ACCURACY = Metric("accuracy", 100, "%", "points", higher_is_better=True)


class Task(ABC):
    """One kind of data, from the raw examples to the line a user reads.

    A task builds plain Keras models and knows nothing of R-Drop but which divergence fits
    its predictions; `train` and `compare` do the rest for every task alike.

    Args:
        recipe: The settings of this data set.
        kept: The folder of a run whose task has `keep` written what its lines need; None for
            a task that begins with its data.
    """

    # How many augmentations of each example a training batch holds, one for each pass; 1 gives
    # every pass the same input.
    views = 1

    # Whether the norm of the gradient is logged.
    logs_gradient_norm = False

    # Rows a batch of evaluation: one number, so that it never decides a figure.
    evaluation_batch = 512

    def __init__(self, recipe: Recipe, kept: Path | None = None) -> None:
        self.recipe = recipe
        self.kept = kept

    @property
    @abstractmethod
    def metric(self) -> Metric:
        """The figure that the task is judged by."""

    @property
    def more_metrics(self) -> Sequence[Metric]:
        """Further figures that are reported."""
        return ()

    @abstractmethod
    def splits(self) -> Splits:
        """Loads the data: the same parts at every call."""

    def about_data(self) -> str | None:
        """Returns what is to be said of the data before training, if anything."""
        return None

    @property
    def prepared_settings(self) -> Mapping[str, Any]:
        """The settings that decide what the rows of `prepare` are.

        Raises:
            ValueError: If the task's data need no preparing.
        """
        raise ValueError(
            "shards are prepared for data that may not fit into memory; got the recipe "
            f"{self.recipe.name!r}, whose data do"
        )

    @cached_property
    def prepared(self) -> Prepared | None:
        """What `prepare` wrote, where the recipe's data are that.

        Raises:
            ValueError: If it was written with other settings.
        """
        folder = self.recipe.data.get("folder")
        if folder is None or not is_prepared(folder):
            return None
        return Prepared(Path(folder), self.prepared_settings)

    def prepare(self, folder: Path) -> Mapping[str, int]:
        """Writes the parts as shards, which then are the data of such a recipe.

        Args:
            folder: A new or empty folder.

        Returns:
            The rows of each part.

        Raises:
            ValueError: If the folder holds something, or the task's data need no preparing.
        """
        settings = self.prepared_settings
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(f"a new or empty folder is needed; {str(folder)!r} holds something")
        folder.mkdir(parents=True, exist_ok=True)
        rows = self.write_parts(folder)
        describe(folder, settings, self.keep_prepared(folder))
        return rows

    def write_parts(self, folder: Path) -> Mapping[str, int]:
        """Writes the parts into a folder each; returns their rows."""
        return write_parts(folder, self.splits())

    def keep_prepared(self, folder: Path) -> Mapping[str, Any]:
        """Writes what else the task needs of its data; returns what goes into the description."""
        return {}

    @abstractmethod
    def model(self) -> keras.Model:
        """Builds the plain model, freshly initialised or pre-trained."""

    @abstractmethod
    def loss(self) -> keras.losses.Loss:
        """Returns the task loss of one pass."""

    def optimizer(self, model: keras.Model, steps: int) -> keras.optimizers.Optimizer:
        """Makes the recipe's optimizer for a run of so many steps."""
        return make_optimizer(model, steps, **asdict(self.recipe.optimizer))

    def transform(self, seed: int) -> Transform | None:
        """Returns what is done to each training batch: augmentation, for one."""
        return None

    def grouping(self) -> Grouping | SimilarSizes | None:
        """Returns how rows are put into training batches; None as they come."""
        return None

    def training_batches(self, seed: int) -> EpochData:
        """Makes the batches of the training part, the same for the same seed and epoch."""
        return TrainingBatches(
            self.splits().train,
            self.recipe.batch_size,
            seed,
            self.transform(seed),
            self.grouping(),
        )

    def watchers(self, batches: Any) -> Sequence[keras.callbacks.Callback]:
        """Returns callbacks that add figures of the training batches to an epoch's logs."""
        return ()

    @property
    def steps_an_epoch(self) -> int:
        """How many batches of `training_batches` an epoch has."""
        return -(-self.splits().train.rows // self.recipe.batch_size)

    def probe(self, rows: int) -> Nested:
        """Returns inputs of the model on which two passes are compared."""
        return first_inputs(self.splits().train, rows)

    @abstractmethod
    def divergence(self, first: Tensor, second: Tensor) -> Tensor:
        """Measures how far two predictions of the same examples are apart, per example."""

    def answers(self, model: keras.Model, part: Part) -> tuple[NDArray[Any], NDArray[Any]]:
        """Returns the targets of a part and what the model answers, in the part's order."""
        return predictions_of(model, part, self.evaluation_batch)

    @abstractmethod
    def figures(self, y: NDArray[Any], predictions: NDArray[Any]) -> Mapping[str, float]:
        """Works out the metrics of a whole part from the `answers`."""

    def notes(self, y: NDArray[Any], predictions: NDArray[Any]) -> Sequence[str]:
        """Returns what else is to be said of a part's figures, a line each: intervals, for one."""
        return ()

    def difference(
        self, y: NDArray[Any], predictions: NDArray[Any], others: NDArray[Any]
    ) -> Sequence[str]:
        """Tests whether these predictions are better than others of the same part.

        Returns:
            Lines that say by how much, and whether chance explains it.

        Raises:
            ValueError: If the task has no such test, as most.
        """
        raise ValueError(
            "a paired test is for runs of translation; got one of "
            f"{self.recipe.name!r}: leave --against out, and compare seeds by `rdrop compare`"
        )

    def picture(self, folder: Path, y: NDArray[Any], predictions: NDArray[Any]) -> None:  # noqa: B027
        """Draws what the test predictions show beside the learning curves, into a run's folder."""

    def keep(self, folder: Path) -> None:  # noqa: B027 (most tasks need nothing)
        """Writes what the task's lines need beside the model into a run's folder."""

    @abstractmethod
    def read_line(self, line: str) -> Any:
        """Turns a user's line into one raw input.

        Raises:
            ValueError: If the line breaks the form; the text states the rule and the value.
        """

    def inputs(self, rows: Sequence[Any]) -> Nested:
        """Turns raw inputs into a batch for the model."""
        return np.stack(rows)

    @abstractmethod
    def write_lines(self, predictions: NDArray[Any]) -> Sequence[str]:
        """Turns the model's predictions into one line for each input."""

    def answer_lines(
        self,
        model: keras.Model,
        lines: Iterable[str],
        has_arrived: Callable[[], bool] | None = None,
    ) -> Iterator[str]:
        """Answers a user's lines, one for each.

        Args:
            model: The trained model.
            lines: What it is asked; here all of them are read first.
            has_arrived: Tells whether the next line is there, without waiting for it.

        Raises:
            ValueError: If a line breaks the form; then nothing is answered.
        """
        rows = [self._numbered(number, line) for number, line in enumerate(lines, start=1)]
        if rows:
            batch = self.evaluation_batch
            yield from self.write_lines(
                model.predict(self.inputs(rows), batch_size=batch, verbose=0)
            )

    def _numbered(self, number: int, line: str) -> Any:
        try:
            return self.read_line(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error

    def submissions(self, model: keras.Model, folder: Path) -> Sequence[str]:
        """Writes the answers to the test rows as the data set's benchmark takes them.

        Args:
            model: The trained model.
            folder: Where to.

        Returns:
            A sentence for each file.

        Raises:
            ValueError: If the benchmark takes none, as for most tasks.
        """
        raise ValueError(
            "submissions are for the data sets of GLUE; got a run of "
            f"{self.recipe.name!r}: leave --submission out and give it lines"
        )
