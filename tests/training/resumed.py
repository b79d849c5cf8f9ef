"""A small training with much to remember, whole or killed and resumed."""

import contextlib
import itertools
import json
import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from rdrop_tf import RDropModel
from rdrop_tf.training import AverageWeights, ExactResume

# 5 steps an epoch, the last one of 2 rows.
ROWS, BATCH, EPOCHS = 18, 4, 3


class AlphaByEpoch(keras.callbacks.Callback):
    """Changes alpha in training, and notes the numbers of the batches."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[int] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.model.alpha = 1.0 + epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.ended.append(batch)


class KillAt(keras.callbacks.Callback):
    """Kills the process before a step, counted from where it begins, or some time after that."""

    def __init__(self, step: int, seconds: float) -> None:
        super().__init__()
        self._step, self._seconds, self._count = step, seconds, itertools.count()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if next(self._count) != self._step:
            return
        if self._seconds:
            kill = threading.Timer(self._seconds, os.kill, (os.getpid(), signal.SIGKILL))
            kill.daemon = True
            kill.start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)


def data(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.normal(size=(rows, 8)).astype("float32"), generator.integers(0, 3, rows)


def model(width: int = 16) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(width, "relu"),
            layers.BatchNormalization(),
            layers.GaussianNoise(0.1),
            layers.Dropout(0.3),
            layers.Dense(3),
        ]
    )


def compiled(width: int = 16, scope: Any = None, **options: Any) -> RDropModel:
    """Makes the model; under a strategy without averages of weights, which Keras cannot make."""
    averages = {"use_ema": True, "ema_momentum": 0.9} if scope is None else {}
    keras.utils.set_random_seed(1)
    with scope or contextlib.nullcontext():
        rdrop = RDropModel(model(width), alpha=2.0)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer = keras.optimizers.AdamW(1e-2, clipnorm=1.0, **averages)
        rdrop.compile(optimizer, loss, **{"metrics": ["accuracy"], **options})
    return rdrop


def callbacks() -> list[keras.callbacks.Callback]:
    return [
        AlphaByEpoch(),
        AverageWeights(2),
        keras.callbacks.EarlyStopping("val_loss", patience=9, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("val_loss", patience=0, min_delta=0.05),
    ]


def train(
    folder: Path,
    *more: keras.callbacks.Callback,
    run_eagerly: bool = True,
    scope: Any = None,
    **options: Any,
) -> tuple[RDropModel, list[keras.callbacks.Callback]]:
    """Trains to the end, from where the folder's checkpoints are.

    Eagerly unless told otherwise: a step is traced longer than these few take.
    """
    rdrop, used = compiled(run_eagerly=run_eagerly, scope=scope), callbacks()
    resume = ExactResume(folder, **{"every_steps": 1, "seed": 3, **options})
    x, y = data()
    rdrop.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=EPOCHS,
        verbose=0,
        validation_data=(x, y),
        callbacks=[*used, *more, resume],
    )
    return rdrop, used


def outcome(rdrop: RDropModel, used: list[keras.callbacks.Callback]) -> dict[str, Any]:
    """All that must be equal: weights, optimizer, logs, what callbacks know."""
    variables = [*rdrop.variables, *rdrop.optimizer.variables]
    averaged = used[1]
    weights = [
        v.numpy().tolist() if hasattr(v, "numpy") else np.array(v).tolist() for v in variables
    ]
    averaged.assign()
    return {
        "variables": weights,
        "averages": [np.asarray(w).tolist() for w in rdrop.get_weights()],
        "history": rdrop.history.history,
        "epochs": rdrop.history.epoch,
        "best": float(used[2].best),
        "best_epoch": used[2].best_epoch,
        "wait": used[3].wait,
        "batches": used[0].ended,
    }


def train_to_file(folder: Path, file: Path, run_eagerly: bool) -> None:
    """For a process of its own: trains to the end and writes the outcome."""
    file.write_text(json.dumps(outcome(*train(folder, run_eagerly=run_eagerly))), "utf-8")


def train_and_die(folder: Path, seed: int, run_eagerly: bool) -> None:
    """For a process of its own: trains a little and is killed."""
    generator = random.Random(seed)
    kill = KillAt(generator.choice((0, 0, 0, 1)), generator.uniform(0.0, 0.05))
    train(folder, kill, run_eagerly=run_eagerly)
