"""What a task is: data, model, loss, metric and the form of a line, put together."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from rdrop_tf._typing import Tensor
from rdrop_tf.recipes import Recipe


class Examples(NamedTuple):
    """Inputs and their targets, row by row."""

    x: NDArray[Any]
    y: NDArray[Any]


class Splits(NamedTuple):
    """The three parts of a data set: to learn from, to choose by, to report."""

    train: Examples
    validation: Examples
    test: Examples


class Metric(NamedTuple):
    """The figure a task is judged by.

    `name` is the compiled metric's. For people its value is multiplied by `scale` (100 for a
    share shown in per cent), with `unit` behind it and `difference_unit` behind a difference.
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
        >>> accuracy = Metric("accuracy", 100, "%", "points", higher_is_better=True)
        >>> accuracy.show(0.8642)
        '86.42 %'
        """
        return f"{self.scale * value:.2f} {self.unit}".rstrip()


class Task(ABC):
    """One kind of data, from the raw examples to the line a user reads.

    A task builds plain Keras models and knows nothing of R-Drop but which divergence fits
    its predictions; `train` and `compare` do the rest for every task alike.

    Args:
        recipe: The settings of this data set.
    """

    metric: ClassVar[Metric]

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    @abstractmethod
    def splits(self) -> Splits:
        """Loads the data: the same three parts at every call."""

    @abstractmethod
    def model(self) -> keras.Model:
        """Builds the plain model, freshly initialised."""

    @abstractmethod
    def compile_options(self, steps_per_epoch: int) -> dict[str, Any]:
        """Returns the optimizer, loss and metrics that `compile` takes."""

    @abstractmethod
    def divergence(self, first: Tensor, second: Tensor) -> Tensor:
        """Measures how far two predictions of the same examples are apart, per example."""

    @abstractmethod
    def read_line(self, line: str) -> NDArray[np.float32]:
        """Turns a user's line into one input.

        Raises:
            ValueError: If the line breaks the form; the text states the rule and the value.
        """

    @abstractmethod
    def write_lines(self, predictions: NDArray[Any]) -> Sequence[str]:
        """Turns the model's predictions into one line for each input."""
