"""Which layers draw noise, and from what seed, seen while a step is traced.

Every random operation of Keras asks `draw_seed` for its seed. Listening there finds all
of them, in layers of any kind; looking for Dropout layers would not.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from types import FrameType
from typing import Any

import keras

from rdrop_tf.layers.saved_model import SavedModelLayer

_HAS_RAW_DRAWS = keras.backend.backend() == "tensorflow"


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

    def note_raw(self) -> None:
        """Notes one draw of TensorFlow by the innermost layer of the call stack."""
        owner = _owner(sys._getframe(2))
        if owner is not None:
            self.raw.add(owner)


@contextmanager
def listen() -> Iterator[Draws]:
    """Notes the draws of everything that runs inside."""
    draws = Draws()
    module: Any = import_module(f"keras.src.backend.{keras.backend.backend()}.random")
    original = module.draw_seed

    def draw_seed(seed: Any) -> Any:
        if draws.listening:
            draws.note(seed)
        return original(seed)

    module.draw_seed = draw_seed
    try:
        with _raw_draws_told(draws) if _HAS_RAW_DRAWS else nullcontext():
            yield draws
    finally:
        module.draw_seed = original


@contextmanager
def _raw_draws_told(draws: Draws) -> Iterator[None]:
    """Hears of TensorFlow's own random functions, each of which asks for the graph's seed.

    Those of a `tf.random.Generator` ask the generator instead.
    """
    seeds: Any = import_module("tensorflow.python.framework.random_seed")
    generator: Any = import_module("tensorflow").random.Generator
    get_seed, prepare = seeds.get_seed, generator._prepare_key_counter

    def told(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if draws.listening:
                draws.note_raw()
            return function(*args, **options)

        return call

    seeds.get_seed, generator._prepare_key_counter = told(get_seed), told(prepare)
    try:
        yield
    finally:
        seeds.get_seed, generator._prepare_key_counter = get_seed, prepare


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
