"""Which layers draw noise, and from what seed, seen while a step is traced.

Every random operation of Keras asks `draw_seed` for its seed. Listening there finds all
of them, in layers of any kind; looking for Dropout layers would not.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from types import FrameType
from typing import Any

import keras

from rdrop_tf.layers.saved_model import SavedModelLayer


@dataclass
class Draws:
    """What was drawn in the steps listened to.

    Attributes:
        fresh: Layers that drew from a seed generator: new noise at every call.
        frozen: Layers that drew from an integer seed: the same noise at every call.
        raw: Layers that drew by operations of TensorFlow, from a state that nobody can read.
        listening: Set to False to stop.
    """

    fresh: set[str] = field(default_factory=set)
    frozen: set[str] = field(default_factory=set)
    raw: set[str] = field(default_factory=set)
    listening: bool = True

    def note(self, seed: Any) -> None:
        """Notes one draw by the innermost layer of the call stack."""
        owner = _owner(sys._getframe(2))
        if owner is not None:
            (self.frozen if isinstance(seed, int) else self.fresh).add(owner)

    def note_raw(self, *_: Any) -> None:
        """Notes one draw of TensorFlow by the innermost layer of the call stack."""
        owner = _owner(sys._getframe(2))
        if owner is not None:
            self.raw.add(owner)


_changing = threading.Lock()
# Who listens, and the thread whose draws alone it wants; None for those of all threads.
_listeners: list[tuple[Draws, int | None]] = []


@contextmanager
def listen(this_thread: bool = False) -> Iterator[Draws]:
    """Notes the draws of everything that runs inside, of this thread or of all threads.

    Replicas are traced by threads that take turns, so listeners may come and go in any order: the
    functions are put back by whoever leaves last.
    """
    draws = Draws()
    listener = (draws, threading.get_ident() if this_thread else None)
    with _changing:
        _listeners.append(listener)
        for owner, name, original, note in _ASKED_FOR_SEEDS:
            setattr(owner, name, _told(original, note))
    try:
        yield draws
    finally:
        with _changing:
            _listeners[:] = [one for one in _listeners if one is not listener]
            for owner, name, original, _ in _ASKED_FOR_SEEDS if not _listeners else ():
                setattr(owner, name, original)


def _told(original: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
    """Returns the function, of which those who listen are told."""

    def call(*args: Any, **options: Any) -> Any:
        thread = threading.get_ident()
        for draws, only in tuple(_listeners):
            if draws.listening and only in (None, thread):
                note(draws, *args)
        return original(*args, **options)

    return call


def _asked_for_seeds() -> Iterator[tuple[Any, str, Callable[..., Any], Callable[..., None]]]:
    """Yields what every draw asks for a seed: whose it is, its name, itself, and what notes it.

    TensorFlow's own random functions ask for the graph's seed, those of a `tf.random.Generator`
    the generator.
    """
    backend = keras.backend.backend()
    random: Any = import_module(f"keras.src.backend.{backend}.random")
    yield random, "draw_seed", random.draw_seed, Draws.note
    if backend == "tensorflow":
        seeds: Any = import_module("tensorflow.python.framework.random_seed")
        generator: Any = import_module("tensorflow").random.Generator
        for owner, name in ((seeds, "get_seed"), (generator, "_prepare_key_counter")):
            yield owner, name, getattr(owner, name), Draws.note_raw


_ASKED_FOR_SEEDS = tuple(_asked_for_seeds())


def layers_with_generators(model: keras.Model) -> set[str]:
    """Returns the layers that own a seed generator, whether they draw from it or not.

    The only trace that Keras' dropout leaves on Torch, where it draws from Torch's own
    generator.
    """
    return {str(layer.name) for layer in model._flatten_layers() if layer._seed_generators}


def layers_with_own_noise(model: keras.Model) -> set[str]:
    """Returns the layers that draw with operations of TensorFlow, where nothing listens."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, SavedModelLayer)]
    return {str(layer.name) for layer in layers if layer.draws_noise}


def _owner(frame: FrameType | None) -> str | None:
    """Returns the name of the innermost layer; None for draws that make initial weights."""
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.initializers.Initializer):
            return None
        if isinstance(caller, keras.layers.Layer):
            return str(caller.name)
        frame = frame.f_back
    return None
