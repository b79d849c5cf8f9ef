"""How well the batches of an epoch are filled, and how fast they go."""

import time
from typing import Any

import keras

from rdrop_tf.text import TokenBatches


class TokenLog(keras.callbacks.Callback):
    """Adds figures of its batches to an epoch's logs.

    - `tokens_per_second`: target tokens, padding not counted, by the seconds of the epoch's
      training, waiting for data included
    - `padding`: share of the source and target tokens that are padding
    - `traces`: how often the training step has been traced so far

    Stands before other callbacks, so that what they do at an epoch's end takes none of its time.

    Args:
        batches: What `fit` trains on.
    """

    def __init__(self, batches: TokenBatches) -> None:
        super().__init__()
        self._batches = batches

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the batches, which at the epoch's end are the next one's."""
        self._tokens, self._padding = self._batches.target_tokens, self._batches.padding_share
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the figures."""
        seconds = time.perf_counter() - self._started
        if logs is not None:
            logs["tokens_per_second"] = self._tokens / seconds
            logs["padding"] = self._padding
            logs["traces"] = self.model.traces
