"""A training that can be killed at any moment and goes on as if it had not been."""

import json
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from rdrop_tf._preemption import Preempted
from rdrop_tf.data import EpochData
from rdrop_tf.data.facts import Facts, difference
from rdrop_tf.models.by_epoch import Place
from rdrop_tf.models.rdrop_model import RDropModel
from rdrop_tf.models.strategy import is_chief
from rdrop_tf.training.agreement import Agreement
from rdrop_tf.training.callback_states import CallbackStates
from rdrop_tf.training.checkpoint_store import Checkpoint, CheckpointStore
from rdrop_tf.training.run_state import (
    check_finite,
    check_variables,
    non_finite,
    random_state,
    replicas_of,
    restore_random_state,
    restore_variables,
    save_variables,
)

# What a checkpoint says besides its arrays.
_FACTS = {
    *("place", "data", "batches", "given", "stopped"),
    *("alpha", "callbacks", "random", "replicas"),
}


class ExactResume(keras.callbacks.Callback):
    """Saves a training, and goes on with it when the same `fit` is called again.

    For `RDropModel.fit`. A training that was killed and goes on ends with the weights, logs and
    history of one that was not, bit for bit on a CPU: saved are all weights and statistics, what
    the optimizer holds, the loss scale, alpha, random seeds, running means, what the other
    callbacks remember, and the place in the data. The batches must be a function of the epoch:
    arrays, a `tf.data.Dataset` in a fixed order, or an `rdrop_tf.data.EpochData`. Arrays are
    shuffled by (seed, epoch).

    It goes on only with the data that it began with: their order, the size of their batches, their
    number and a few of their rows are compared (of a `tf.data.Dataset` its form alone; of an
    `EpochData` of your own what its `facts` returns), and `class_weight`.

    Several workers take the same steps, save together and go on together; the chief writes, into a
    folder that all of them see.

    It saves after every so many epochs, steps or minutes, whichever comes first, and at the end. On
    SIGTERM it saves after the step that is under way and raises `Preempted`, which ends the process
    with the exit code 75. Where the disk does not take a checkpoint, training goes on with a
    warning.

    Args:
        folder: Of the checkpoints, which are no one else's; of a new training it is empty.
        every_epochs: Saves after each so many epochs.
        every_steps: Saves after each so many steps.
        every_minutes: Saves after each so many minutes.
        keep: How many checkpoints stay.
        seed: Of the order of arrays.

    Raises:
        ValueError: If a number is below 1. In `fit`, if the folder's checkpoints are all broken,
            or of another model or other data.

    Example:
    >>> import tempfile, numpy as np
    >>> from rdrop_tf import RDropModel
    >>> def train(epochs, folder):
    ...     keras.utils.set_random_seed(0)
    ...     layers = [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3)]
    ...     rdrop = RDropModel(keras.Sequential(layers))
    ...     loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ...     rdrop.compile(keras.optimizers.Adam(), loss)
    ...     x, y = np.ones((8, 4), "float32"), np.arange(8) % 3
    ...     history = rdrop.fit(x, y, epochs=epochs, verbose=0, callbacks=[ExactResume(folder)])
    ...     return rdrop.get_weights()[0], history.history["loss"]
    >>> folder = tempfile.mkdtemp()
    >>> _ = train(2, folder)
    >>> resumed, whole = train(4, folder), train(4, tempfile.mkdtemp())
    >>> bool((resumed[0] == whole[0]).all()), resumed[1] == whole[1]
    (True, True)
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        every_epochs: int | None = 1,
        every_steps: int | None = None,
        every_minutes: float | None = None,
        keep: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._every_epochs, self._every_steps = every_epochs, every_steps
        self._every_minutes = every_minutes
        for name in ("every_epochs", "every_steps", "every_minutes"):
            value = getattr(self, f"_{name}")
            if value is not None and not value > 0:
                raise ValueError(f"`{name}` must be above 0, or None. Received: {name}={value!r}")
        self._store = CheckpointStore(Path(folder), keep)
        self.seed = seed
        self._found: Checkpoint | None = None
        self._data: EpochData | None = None
        self._asked_to_end = threading.Event()

    # Where the training is

    @property
    def steps(self) -> int:
        """How many steps were taken, those of earlier processes included."""
        return self._steps

    @property
    def batches(self) -> int:
        """How many batches this epoch has."""
        return self._batches

    @property
    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint, which may be broken; None without one."""
        return next(iter(self._store.paths()), None)

    # What `RDropModel.fit` asks for

    def find_place(self, model: RDropModel, data: EpochData, facts: Facts) -> Place | None:
        """Returns where the newest checkpoint of this training goes on; None without one.

        Args:
            model: Built, with its optimizer.
            data: What it is to be trained on.
            facts: What else the steps follow from.
        """
        self._data = data
        # Read back, as a checkpoint's are.
        self._facts = json.loads(json.dumps({**data.facts(), **facts}))
        self._found = self._store.newest(lambda found: self._check(found, model))
        self._workers = Agreement(model)
        self._workers.check_equal(
            -1 if self._found is None else self._found.step,
            "all workers must find the same checkpoint: give them one folder that all of them see",
        )
        return None if self._found is None else Place(*self._found.facts["place"])

    @property
    def has_stopped(self) -> bool:
        """Whether a callback had ended the training."""
        return self._found is not None and bool(self._found.facts["stopped"])

    def begin(self, callbacks: list[keras.callbacks.Callback]) -> None:
        """Hears with which callbacks training is about to begin."""
        self._callbacks = CallbackStates(callbacks)
        self._place, self._steps = Place(), 0
        self._saved_at_step, self._saved_at_time = 0, time.monotonic()
        if self._found is not None:
            self._place = Place(*self._found.facts["place"])
            self._steps = self._saved_at_step = self._found.step

    def restore(self, model: RDropModel) -> None:
        """Puts everything back; all callbacks have heard that training begins."""
        assert self._found is not None
        self._warn_of_settings(self._found.facts["given"])
        self._given = self._found.facts["given"]
        alpha = self._found.facts["alpha"]
        if alpha is not None:
            model.alpha = alpha
        gone = self._restore_all()
        if gone:
            warnings.warn(
                "what some callbacks remembered is lost, as they are not there any more: "
                f"{', '.join(gone)}",
                stacklevel=2,
            )

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hears SIGTERM, in the main thread; no other thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._asked_to_end.clear()
        before = signal.signal(signal.SIGTERM, lambda *_: self._asked_to_end.set())
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
        if self._asked_to_end.is_set():  # since the end of the last epoch, which was saved
            raise Preempted

    # What Keras tells

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuses a `fit` that has not told it of its data."""
        if self._data is None:
            raise ValueError(
                "ExactResume needs a `fit` that can begin anywhere in its data, that of "
                f"RDropModel. Received: the `fit` of {type(self.model).__name__}"
            )
        self._given = _given(self.model)
        self._non_finite: Mapping[str, Any] | None = None
        self._callbacks.note()  # all others have heard of it

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Goes back into the epoch: its beginning has made the running means 0."""
        if self._found is not None and self._place.batch:
            self._restore_all()
        self._found = None  # its arrays are no longer needed
        if self._non_finite is None:
            arrays: dict[str, Any] = {}
            save_variables(self.model, arrays)
            self._non_finite = non_finite(self.model, arrays)
        self._epoch = epoch
        if self._place.epoch != epoch:
            self._place = Place(epoch)
        assert self._data is not None
        self._batches = self._data.batches(epoch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves where it is time to."""
        place = Place(self._epoch, batch + 1)
        self._steps += place.batch - self._place.batch
        self._place = place
        # The last step of an epoch is saved by its end. All workers have to ask each other.
        if place.batch < self._batches and self._is_time():
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves."""
        self._place = Place(epoch + 1)
        turn = self._every_epochs is not None and (epoch + 1) % self._every_epochs == 0
        is_time = self._is_time()  # first: no worker may leave the question out
        is_last = epoch + 1 == self.params["epochs"]
        if turn or is_last or self.model.stop_training or is_time:
            self._save()

    def _is_time(self) -> bool:
        """Whether a worker is asked to end, or one thinks that it is time to save."""
        steps, minutes = self._every_steps, self._every_minutes
        since = time.monotonic() - self._saved_at_time
        turn = (steps is not None and self._steps - self._saved_at_step >= steps) or (
            minutes is not None and since >= 60 * minutes
        )
        ends, turn = self._workers.any_of(self._asked_to_end.is_set(), turn)
        if ends:
            self._asked_to_end.set()
        return ends or turn

    def _save(self) -> None:
        model, arrays = self.model, dict[str, Any]()
        save_variables(model, arrays)
        facts = {
            "place": self._place,
            "data": self._facts,
            "batches": [self._epoch, self._batches],
            "given": self._given,
            "stopped": bool(model.stop_training),
            "alpha": _number(model.alpha),
            "callbacks": self._callbacks.save(arrays),
            "random": random_state(arrays),
            "replicas": replicas_of(model),
        }
        check_finite(non_finite(model, arrays), self._non_finite or {})
        try:
            if is_chief(model):
                self._store.write(Checkpoint(self._steps, arrays, facts))
        except OSError as error:
            warnings.warn(
                f"step {self._steps} was not saved: {error}. Training goes on; the checkpoint "
                "before it is as it was",
                stacklevel=2,
            )
        self._saved_at_step, self._saved_at_time = self._steps, time.monotonic()
        if self._asked_to_end.is_set():
            self._workers.any_of(True, True)  # the others wait until the chief has written
            raise Preempted

    def _restore_all(self) -> list[str]:
        assert self._found is not None
        arrays, facts = self._found.arrays, self._found.facts
        restore_variables(self.model, arrays)
        restore_random_state(facts["random"], arrays)
        return self._callbacks.restore(facts["callbacks"], arrays)

    def _check(self, found: Checkpoint, model: RDropModel) -> None:
        """Raises if a checkpoint is not of this training."""
        if not found.facts.keys() >= _FACTS:
            raise ValueError("it must be one that ExactResume of this version has written")
        now, saved = replicas_of(model), found.facts["replicas"]
        if now != saved:
            raise ValueError(
                "training must go on with as many replicas as it began with, as each draws noise "
                f"of its own. Received: {now} replicas, and a checkpoint of {saved}"
            )
        check_variables(model, found.arrays)
        self._check_data(found.facts["data"], *found.facts["batches"])

    def _check_data(self, saved: Facts, epoch: int, batches: int) -> None:
        assert self._data is not None
        differs = difference(saved, self._facts)
        now = self._data.batches(epoch)
        if differs is None and now != batches:
            differs = f"{now} batches in epoch {epoch + 1}, which had {batches}"
        if differs is not None:
            raise ValueError(
                "training must go on with the data it began with, in the same batches. "
                f"Received: {differs}"
            )

    def _warn_of_settings(self, given: Mapping[str, Any]) -> None:
        """Says what was given anew and is replaced by what was saved."""
        now = json.loads(json.dumps(self._given))
        for name, value in given.items():
            if now.get(name) != value and None not in (now.get(name), value):
                warnings.warn(
                    f"{name}={_shown(now[name])} is not used: training goes on with the {name} it "
                    f"was saved with, having begun with {_shown(value)}. Change it in a callback, "
                    "or begin anew in an empty folder",
                    stacklevel=2,
                )


def _given(model: RDropModel) -> dict[str, Any]:
    """Returns the settings that live in variables, None where they do not."""
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    rate = getattr(inner, "_learning_rate", None)
    is_number = isinstance(rate, keras.Variable)
    return {
        "alpha": _number(model.alpha),
        "learning_rate": float(keras.ops.convert_to_numpy(rate)) if is_number else None,
    }


def _shown(value: Any) -> str:
    """Writes a number without what its 32 bits add to it."""
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def _number(alpha: Any) -> Any:
    """Returns an alpha that is a number or a dict of numbers; a schedule follows the step."""
    values = alpha.values() if isinstance(alpha, Mapping) else [alpha]
    return alpha if all(isinstance(value, int | float) for value in values) else None
