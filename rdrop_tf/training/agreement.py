"""What several workers decide together."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from rdrop_tf.models.strategy import worker_count


class Agreement:
    """Answers that are the same on all workers of a model; alone one agrees with oneself.

    All workers have to ask the same questions in the same order: each is a collective.

    Args:
        model: The model that they train.
    """

    def __init__(self, model: keras.Model) -> None:
        self._strategy = model._distribute_strategy if worker_count(model) > 1 else None
        self._sum: Callable[..., Any] | None = None

    def any_of(self, *answers: bool) -> tuple[bool, ...]:
        """Returns for each question whether a worker says yes."""
        if self._strategy is None:
            return answers
        import tensorflow as tf

        strategy = self._strategy
        if self._sum is None:  # traced once: it is asked after every step

            @tf.function
            def add(own: Any) -> Any:
                return strategy.reduce("SUM", strategy.run(tf.identity, args=(own,)), axis=None)

            self._sum = add
        total = self._sum(tf.constant([float(each) for each in answers]))
        return tuple(bool(each > 0) for each in np.asarray(total))

    def check_equal(self, own: int, rule: str) -> None:
        """Raises unless all workers have the same number.

        Raises:
            ValueError: With the rule and the numbers.
        """
        if self._strategy is None:
            return
        import tensorflow as tf

        local = self._strategy.experimental_distribute_values_from_function(
            lambda _: tf.constant([own], "int64")
        )
        numbers = [int(each) for each in self._strategy.gather(local, axis=0)]
        if len(set(numbers)) > 1:
            raise ValueError(f"{rule}. Received: steps {', '.join(map(str, numbers))} (-1: none)")
