"""Training ends where its loss is no number any more."""

import math
from typing import Any

import keras

from rdrop_tf.training.exact_resume import ExactResume


class StopAtNonFinite(keras.callbacks.Callback):
    """Ends `fit` with a `FloatingPointError` where the loss is NaN or infinite.

    The error names the step, the batch's place in the data and, with `resume`, the last checkpoint
    before it, which stays. With the optimizer `SkipNonFinite` such steps are left out, and training
    ends where more than `skips` of them were.

    Reads the loss of every step, for which a device that works on its own is waited for.

    Args:
        skips: How many steps may be left out in all.
        resume: The callback that saves the training, to name its checkpoint.

    Raises:
        ValueError: If `skips` is below 0.

    Example:
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.array([[1.0, 2.0], [3.0, np.inf]])
    >>> try:
    ...     _ = model.fit(x, x[:, :1], 1, shuffle=False, verbose=0, callbacks=[StopAtNonFinite()])
    ... except FloatingPointError as error:
    ...     print(error)
    the loss must be a finite number. Received: inf in epoch 1, batch 2
    """

    def __init__(self, *, skips: int = 10, resume: ExactResume | None = None) -> None:
        super().__init__()
        if skips < 0:
            raise ValueError(f"`skips` must be a number >= 0. Received: skips={skips}")
        self._skips, self._resume = skips, resume
        self._epoch = 0
        self.skipped = 0
        self._before = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remembers the epoch."""
        self._epoch = epoch
        self._before = self.skipped

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the loss of the step and at how many were left out."""
        logs = logs or {}
        loss = float(logs.get("loss", 0.0))
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss must be a finite number. Received: {loss} in "
                f"{self._place(batch)}{self._way_out()}"
            )
        if "skipped" in logs:
            self.skipped = self._before + round(float(logs["skipped"]))
            if self.skipped > self._skips:
                raise FloatingPointError(
                    f"at most {self._skips} steps may have gradients that are no finite numbers. "
                    f"Received: the {self.skipped}. in {self._place(batch)}{self._way_out()}"
                )

    def _place(self, batch: int) -> str:
        place = f"epoch {self._epoch + 1}, batch {batch + 1}"
        if self._resume is None:
            return place
        return f"step {self._resume.steps + 1} ({place} of {self._resume.batches})"

    def _way_out(self) -> str:
        if self._resume is None:
            return ""
        newest = self._resume.last_checkpoint
        return f"; the last checkpoint is {newest}" if newest else "; nothing was saved before it"
