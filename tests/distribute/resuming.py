"""What each of two processes does: python -m tests.distribute.resuming FOLDER SIGNAL STEP.

The second one gets the signal, a number, at that step; with 0 both train to the end and then once
more, unbroken.
"""

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import keras

from rdrop_tf.training import make_strategy
from tests.training import resumed


class SignalAt(keras.callbacks.Callback):
    """Sends this process a signal before a step, counted from where it begins."""

    def __init__(self, number: int, step: int) -> None:
        super().__init__()
        self._number, self._step, self._count = number, step, itertools.count()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if next(self._count) == self._step:
            os.kill(os.getpid(), self._number)


def main() -> None:
    folder, number, step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    strategy = make_strategy("multiworker")

    def train(name: str, *more: Any) -> dict[str, Any]:
        found = resumed.train(
            folder / name, *more, run_eagerly=False, scope=strategy.scope(), every_steps=1
        )
        return resumed.outcome(*found)

    if number:
        train("broken", *[SignalAt(number, step)] * strategy.worker)
        return
    found = {name: train(name) for name in ("broken", "whole")}
    (folder / f"{strategy.worker}.json").write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main()
