"""Training one epoch at a time, from any place in the data."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import keras

from rdrop_tf.data import EpochData
from rdrop_tf.data.facts import Facts
from rdrop_tf.models.workers import batches_of_epoch, validation_by_epoch

if TYPE_CHECKING:
    from rdrop_tf.models.rdrop_model import RDropModel


class Place(NamedTuple):
    """Where training stands: the next batch is number `batch` of epoch number `epoch`."""

    epoch: int = 0
    batch: int = 0


@runtime_checkable
class Resumes(Protocol):
    """A callback that knows where training was when it ended."""

    seed: int

    def find_place(self, model: "RDropModel", data: EpochData, facts: Facts) -> Place | None:
        """Returns where to go on, None to begin.

        Args:
            model: Built, with its optimizer.
            data: What it is to be trained on.
            facts: What else the steps follow from.
        """

    @property
    def has_stopped(self) -> bool:
        """Whether a callback had ended the training."""

    def begin(self, callbacks: list[keras.callbacks.Callback]) -> None:
        """Hears with which callbacks training is about to begin."""

    def restore(self, model: "RDropModel") -> None:
        """Puts back what was at that place; everything is built, and callbacks have begun."""

    def listening(self) -> Any:
        """Returns a context in which the process' signals are heard."""


def find_resumes(callbacks: Any) -> Resumes | None:
    """Returns the callback that knows where to go on; None where there is none.

    Raises:
        ValueError: If there are several, or it is in a `CallbackList`.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        if any(isinstance(c, Resumes) for c in callbacks.callbacks):
            raise ValueError(_LIST)
        return None
    found = [c for c in keras.tree.flatten(callbacks or []) if isinstance(c, Resumes)]
    if len(found) > 1:
        raise ValueError(f"a training has one place to go on from. Received: {found}")
    return found[0] if found else None


_LIST = (
    "a training by epochs makes its own CallbackList: pass `callbacks` as a list. "
    "Received: a CallbackList"
)


def fit_by_epoch(
    model: "RDropModel",
    fit: Callable[..., Any],
    data: EpochData,
    resumes: Resumes | None,
    options: dict[str, Any],
) -> Any:
    """Trains epoch by epoch, each with a `fit` of its own and all with the same callbacks.

    A `fit` of Keras holds to the number of batches of its first epoch, and cannot begin within
    one. `on_train_begin` and `on_train_end` are called once.

    Args:
        model: What is trained.
        fit: Keras' own `fit` of it.
        data: The batches.
        resumes: The callback that knows where to begin; None begins at the beginning.
        options: The other arguments of `fit`.

    Returns:
        The history of all epochs, those before the place included.

    Raises:
        ValueError: If callbacks come as a `CallbackList`.
    """
    options = dict(options)
    given = options.pop("callbacks", None)
    if isinstance(given, keras.callbacks.CallbackList):
        raise ValueError(_LIST)
    class_weight = options.get("class_weight")
    if options.get("validation_data") is not None:
        size = options.get("validation_batch_size") or options.get("batch_size") or 32
        options["validation_data"] = validation_by_epoch(model, options["validation_data"], size)
    epochs, verbose = options.pop("epochs", 1), options.pop("verbose", "auto")
    found = None
    if resumes is not None:
        _build(model, data)  # also at first: who builds an optimizer decides its variables' names
        found = resumes.find_place(model, data, _facts(class_weight))
    begins = Place(options.pop("initial_epoch", 0))
    place = begins if found is None else found
    has_stopped = resumes is not None and resumes.has_stopped
    left = range(0) if has_stopped else range(place.epoch, epochs)
    callbacks = _OneTraining(
        [c for c in keras.tree.flatten(given or []) if c is not resumes],
        add_history=True,
        add_progbar=verbose != 0,
        verbose=verbose,
        epochs=epochs,
        steps=data.batches(min(place.epoch, epochs - 1)),  # there may be no epoch more
        model=model,
    )
    if resumes is not None:
        resumes.begin(list(callbacks.callbacks))
        if found is not None:
            callbacks.when_begun = lambda: resumes.restore(model)
        callbacks.add_last(resumes)
    with _unfinished(model) as finish, resumes.listening() if resumes else nullcontext():
        callbacks.on_train_begin()
        for epoch in left:
            first = place.batch if epoch == place.epoch else 0
            callbacks.begin_at(first, data.batches(epoch))
            fit(
                batches_of_epoch(model, data, epoch, first, class_weight is not None),
                callbacks=callbacks,
                initial_epoch=epoch,
                epochs=epoch + 1,
                verbose=verbose,
                shuffle=False,
                **options,
            )
            if model.stop_training:
                break
        finish()
    callbacks.end()
    return model.history


class _OneTraining(keras.callbacks.CallbackList):
    """Callbacks of several calls of `fit` that are one training."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.when_begun: Callable[[], None] = lambda: None
        self._has_begun = False
        self._first = 0
        self._logs: Any = None

    def add_last(self, callback: Any) -> None:
        """Adds one behind Keras' own: what it saves is what the others have made of a step."""
        callback.set_params(self.params)
        callback.set_model(self.model)
        self.callbacks.append(callback)

    def begin_at(self, batch: int, batches: int) -> None:
        """Hears the number of the next epoch's first batch: Keras counts each `fit` from 0."""
        self._first = batch
        if self.params["steps"] != batches:
            self.set_params({**self.params, "steps": batches})

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_begin(self._first + batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(self._first + batch, logs)

    def on_train_begin(self, logs: Any = None) -> None:
        if not self._has_begun:
            self._has_begun = True
            super().on_train_begin(logs)
            self.when_begun()

    def on_train_end(self, logs: Any = None) -> None:
        self._logs = logs

    def end(self) -> None:
        super().on_train_end(self._logs)


@contextmanager
def _unfinished(model: "RDropModel") -> Iterator[Callable[[], None]]:
    """Keeps each `fit` from finishing the weights (averages of them, for one) before the last."""
    optimizer = model.optimizer
    finish = optimizer.finalize_variable_values
    optimizer.finalize_variable_values = lambda variables: None
    finished: list[bool] = []
    try:
        yield lambda: finished.append(True)
    finally:
        del optimizer.finalize_variable_values
    if finished:
        finish(model.trainable_weights)


def _facts(class_weight: Any) -> Facts:
    if class_weight is None:
        return {}
    return {"class_weight": {str(name): float(weight) for name, weight in class_weight.items()}}


def _build(model: "RDropModel", data: EpochData) -> None:
    """Makes all variables, so that there is something to restore."""
    batches = data.rest(0)
    batch = batches[0] if hasattr(batches, "__getitem__") else next(iter(batches))
    strategy = getattr(model, "_distribute_strategy", None)
    with strategy.scope() if strategy else nullcontext():
        model._symbolic_build(data_batch=batch)
