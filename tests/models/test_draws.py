"""Listening to draws: by thread, and in any order of coming and going."""

import threading
from importlib import import_module

import keras

from rdrop_tf.models.draws import listen


class Noise(keras.layers.Layer):
    """Draws one number from the global generator."""

    def call(self, x):
        return x + keras.random.uniform((), seed=keras.random.SeedGenerator(1))


def draw(name: str) -> None:
    Noise(name=name)(keras.ops.ones(()))


def test_a_thread_s_listener_hears_that_thread_alone() -> None:
    with listen() as everyone, listen(this_thread=True) as mine:
        other = threading.Thread(target=draw, args=("theirs",))
        other.start()
        other.join()
        draw("mine")
    draw("nobody_s")
    assert everyone.fresh == {"mine", "theirs"}
    assert mine.fresh == {"mine"}


def test_listeners_may_leave_in_any_order() -> None:
    """Threads that take turns do."""
    module = import_module(f"keras.src.backend.{keras.backend.backend()}.random")
    original = module.draw_seed
    first, second = listen(), listen()
    heard_first = first.__enter__()
    heard_second = second.__enter__()
    first.__exit__(None, None, None)
    draw("late")
    assert heard_second.fresh == {"late"}
    assert not heard_first.fresh
    second.__exit__(None, None, None)
    assert module.draw_seed is original
