"""Checks that a model, its wrapper and its optimizer belong to one `tf.distribute` strategy."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras


def check_strategy(model: keras.Model) -> None:
    """Raises for a strategy that cannot work with the wrapped model.

    Args:
        model: The model that is about to be wrapped.

    Raises:
        ValueError: Under ParameterServerStrategy, or if the model or one of its variables was not
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
    _check_variables(model)


def check_compile(model: keras.Model, options: Mapping[str, Any]) -> None:
    """Raises for options of `compile` that several replicas cannot work with.

    Raises:
        ValueError: For several steps in one call, which Keras cannot run under a strategy, and
            for XLA on replicas that are CPUs.
    """
    strategy = _of(model)
    if strategy is None or strategy.num_replicas_in_sync == 1:
        return
    _check_steps(strategy, options.get("steps_per_execution", 1))
    devices = strategy.extended.worker_devices
    if options.get("jit_compile") is True and all("CPU" in device for device in devices):
        raise ValueError(
            "replicas that are CPUs cannot be compiled by XLA, as it does not know their "
            f"collectives: leave out jit_compile. Received: jit_compile=True on {len(devices)} "
            f"CPUs under {_name(strategy)}"
        )


def check_optimizer(model: keras.Model, optimizer: Any) -> None:
    """Raises if an optimizer was made under another strategy, or cannot be shared by replicas.

    Raises:
        ValueError: If it was made elsewhere, or scales the loss and accumulates gradients or
            overwrites weights with their averages.
    """
    made_under = _or_none(getattr(optimizer, "_distribution_strategy", None))
    if isinstance(optimizer, keras.optimizers.Optimizer) and made_under is not _of(model):
        raise ValueError(
            f"{_RULE} Received: an optimizer made under {_name(made_under)} for a model made "
            f"under {_name(_of(model))}"
        )
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if made_under is None or inner is optimizer:
        return
    for words, option in (
        ("accumulated gradients", "gradient_accumulation_steps"),
        ("weights that are overwritten with averages", "ema_overwrite_frequency"),
    ):
        if getattr(inner, option):
            raise ValueError(
                f"under a strategy a loss scale and {words} do not go together: leave out "
                f"{option}, or train in bfloat16, which needs no loss scale. "
                f"Received: {type(optimizer).__name__} with {option}={getattr(inner, option)}"
            )


def check_fit(model: keras.Model) -> None:
    """Raises for what has changed since a model was compiled that its strategy cannot work with.

    Raises:
        ValueError: If `fit` is called inside the scope of another strategy, a layer was built
            outside of the model's, or several steps are to be made in one call.
    """
    current = _current()
    if current is not None and current is not _of(model):
        raise ValueError(
            f"{_RULE} Received: `fit` under {_name(current)} of a model made under "
            f"{_name(_of(model))}"
        )
    strategy = _of(model)
    if strategy is not None:
        _check_variables(model)
        if strategy.num_replicas_in_sync > 1:
            _check_steps(strategy, model.steps_per_execution)


def _check_steps(strategy: Any, steps: Any) -> None:
    if steps != 1:
        raise ValueError(
            "under a strategy each call makes one step: leave out steps_per_execution. "
            f"Received: steps_per_execution={steps} under {_name(strategy)}"
        )


def _check_variables(model: keras.Model) -> None:
    """Raises if a layer was built outside of the scope that its model was made in."""
    strategy = _of(model)
    if strategy is None:
        return
    for variable in model.variables:
        if not strategy.extended.variable_created_in_scope(variable.value):
            raise ValueError(
                f"{_RULE} Received: the variable {variable.path!r}, of a layer that was built "
                f"outside of it, in the model '{model.name}' made under {_name(strategy)}"
            )


def scope_of(model: keras.Model) -> AbstractContextManager[Any]:
    """Returns the scope that a model was made in."""
    strategy = _of(model)
    return nullcontext() if strategy is None else strategy.scope()


def worker_count(model: keras.Model) -> int:
    """Returns how many processes share each batch of a model."""
    strategy = _of(model)
    if strategy is None:
        return 1
    # A worker's devices are its own; those of a TPU's slice are all of its replicas.
    return max(1, strategy.num_replicas_in_sync // len(strategy.extended.worker_devices))


def is_chief(model: keras.Model) -> bool:
    """Whether this process writes the files of a model's training."""
    return worker_count(model) == 1 or bool(_of(model).extended.should_checkpoint)


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
