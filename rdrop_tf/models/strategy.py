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
    current = _current()
    if current is not None and "ParameterServerStrategy" in type(current).__name__:
        raise ValueError(
            "R-Drop cannot run under ParameterServerStrategy, which Keras 3 does not support; "
            "use MirroredStrategy or MultiWorkerMirroredStrategy"
        )
    if _of(model) is not current:
        raise ValueError(
            f"{_RULE} Received: the model '{model.name}' made under {_name(_of(model))}, to be "
            f"wrapped under {_name(current)}"
        )


def check_optimizer(model: keras.Model, optimizer: Any) -> None:
    """Raises if an optimizer object was made under another strategy than the model."""
    made_under = _or_none(getattr(optimizer, "_distribution_strategy", None))
    if isinstance(optimizer, keras.optimizers.Optimizer) and made_under is not _of(model):
        raise ValueError(
            f"{_RULE} Received: an optimizer made under {_name(made_under)} for a model made "
            f"under {_name(_of(model))}"
        )


def check_scope_of_fit(model: keras.Model) -> None:
    """Raises if `fit` is called inside the scope of another strategy than the model's."""
    current = _current()
    if current is not None and current is not _of(model):
        raise ValueError(
            f"{_RULE} Received: `fit` under {_name(current)} of a model made under "
            f"{_name(_of(model))}"
        )


_RULE = (
    "The model, its RDropModel and its optimizer must all be made inside the same "
    "`strategy.scope()`, that of the strategy they are trained with."
)


def _current() -> Any:
    """Returns the strategy whose scope is open, None outside of all and off TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    return tf.distribute.get_strategy() if tf.distribute.has_strategy() else None


def _of(model: keras.Model) -> Any:
    """Returns the strategy a model was made under, None for none."""
    return getattr(model, "_distribute_strategy", None)


def _or_none(strategy: Any) -> Any:
    """Turns TensorFlow's default strategy, which stands for none, into None."""
    return None if type(strategy).__name__ == "_DefaultDistributionStrategy" else strategy


def _name(strategy: Any) -> str:
    return "no strategy" if strategy is None else type(strategy).__name__
