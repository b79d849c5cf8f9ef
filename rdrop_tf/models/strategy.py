"""Checks that a model, its wrapper and its optimizer belong to one `tf.distribute` strategy."""

from typing import Any

import keras


def check_strategy(model: keras.Model) -> None:
    """Raises for a strategy that cannot work with the wrapped model.

    Args:
        model: The model that is about to be wrapped.

    Raises:
        ValueError: Under ParameterServerStrategy, or if the model's variables were not
            made in the scope of the current strategy.
    """
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if isinstance(strategy, tf.distribute.ParameterServerStrategy):
        raise ValueError(
            "R-Drop cannot run under ParameterServerStrategy, which Keras 3 does not support; "
            "use MirroredStrategy or MultiWorkerMirroredStrategy"
        )
    made_under = _strategy_of(model)
    if made_under is not strategy:
        raise ValueError(
            "The model, its RDropModel and its optimizer must all be made inside the same "
            f"`strategy.scope()`. Received: the model '{model.name}' made under "
            f"{_name(made_under)}, to be wrapped under {_name(strategy)}"
        )


def check_optimizer(model: keras.Model, optimizer: Any) -> None:
    """Raises if an optimizer object was made under another strategy than the model."""
    made_under = getattr(optimizer, "_distribution_strategy", None)
    if made_under is None or made_under is model.distribute_strategy:
        return
    raise ValueError(
        "The model, its RDropModel and its optimizer must all be made inside the same "
        f"`strategy.scope()`. Received: an optimizer made under {_name(made_under)} for a "
        f"model made under {_name(model.distribute_strategy)}"
    )


def check_scope_of_fit(model: keras.Model) -> None:
    """Raises if `fit` is called inside the scope of another strategy than the model's."""
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    if tf.distribute.has_strategy() and tf.distribute.get_strategy() is not _strategy_of(model):
        raise ValueError(
            "A model must be made and wrapped inside the `strategy.scope()` it is trained in. "
            f"Received: `fit` under {_name(tf.distribute.get_strategy())} of a model made under "
            f"{_name(_strategy_of(model))}"
        )


def _strategy_of(model: keras.Model) -> Any:
    import tensorflow as tf

    own = getattr(model, "_distribute_strategy", None)
    if own is not None:
        return own
    with _no_scope():
        return tf.distribute.get_strategy()


def _no_scope() -> Any:
    import tensorflow as tf

    return tf.init_scope()


def _name(strategy: Any) -> str:
    name = type(strategy).__name__
    return "no strategy" if name == "_DefaultDistributionStrategy" else name
