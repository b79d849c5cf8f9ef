"""How well the batches of an epoch are filled, and how fast they go."""

from typing import Any

import keras

from rdrop_tf.tasks.stopwatch import Stopwatch
from rdrop_tf.text import ShardTokenBatches, TokenBatches


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

    def __init__(self, batches: TokenBatches | ShardTokenBatches) -> None:
        super().__init__()
        self._batches, self._watch = batches, Stopwatch()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the batches of the epoch."""
        # As plain values, which a checkpoint holds.
        self._tokens, self._padding = self._batches.fill(epoch)
        self._watch.start()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the figures."""
        seconds = self._watch.seconds
        if logs is not None:
            logs["tokens_per_second"] = self._tokens / seconds
            logs["padding"] = self._padding
            logs["traces"] = self.model.traces
