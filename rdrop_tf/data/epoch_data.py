"""Data whose batches are a function of the epoch, so that training can begin anywhere in it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Share:
    """The part of every batch that one worker's devices train on.

    Attributes:
        first: The number of its first replica, from 0.
        count: How many replicas are its own.
        replicas: How many there are in all.
    """

    first: int
    count: int
    replicas: int

    def rows(self, rows: Any, replica: Any) -> tuple[Any, Any]:
        """Returns where one replica's rows of a batch begin and end.

        Args:
            rows: How many the batch has.
            replica: The replica's number among all of them.

        Example:
        >>> [Share(0, 1, 3).rows(8, replica) for replica in range(3)]
        [(0, 2), (2, 5), (5, 8)]
        """
        return rows * replica // self.replicas, rows * (replica + 1) // self.replicas


class EpochData(ABC):
    """Batches that follow from the number of their epoch, whatever was read before."""

    @abstractmethod
    def batches(self, epoch: int) -> int:
        """Returns how many batches an epoch has."""

    @abstractmethod
    def rest(self, epoch: int, batch: int = 0) -> Any:
        """Returns what `fit` takes: the batches of an epoch from number `batch` on."""

    def check_model(self, model: Any) -> None:  # noqa: B027 (most data fit any model)
        """Raises a ValueError where a model cannot take these batches; before a training begins."""

    def facts(self) -> dict[str, Any]:
        """Returns what the batches follow from, of the kinds that json knows, by name.

        A training goes on only with data of the same facts. They are to be had without reading all
        rows, and alike in every process. `rdrop_tf.data.facts_of_arrays` makes some of arrays.
        """
        return {}

    def shared(self, epoch: int, batch: int, share: Share) -> Any:
        """Returns the rows of one worker, where they can be had without reading the others.

        Args:
            epoch: As of `rest`.
            batch: As of `rest`.
            share: Which rows of each batch.

        Returns:
            A `tf.data.Dataset` that gives, batch by batch, the rows of each of the worker's
            replicas, one after the other; None where all rows have to be read.
        """
        return None
