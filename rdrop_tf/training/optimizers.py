"""Optimizers as recipes name them."""

from typing import Any

import keras

from rdrop_tf.training.schedules import InverseSquareRoot, WarmupLinearDecay

OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("cosine", "linear", "inverse_square_root")

# Where fairseq's warm-up of an inverse square root begins.
INITIAL_RATE = 1e-7

NORMALISATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
)


def make_optimizer(
    model: keras.Model,
    steps: int,
    *,
    learning_rate: float,
    name: str = "adam",
    schedule: str = "cosine",
    warmup: float = 0.0,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    clip_norm: float | None = None,
    accumulation: int = 1,
) -> keras.optimizers.Optimizer:
    """Makes an optimizer whose rate rises and falls; to 0 at the last step, but for inverse roots.

    Weight decay is decoupled from the gradient (AdamW, and the same for SGD) and leaves out
    biases and the scales and offsets of normalisation layers, as BERT does.

    Args:
        model: The model to train; its layers tell what is not decayed.
        steps: Training steps of the whole run, accumulation slices counted one by one.
        learning_rate: The peak.
        name: "adam" or "sgd".
        schedule: "cosine", "linear" or "inverse_square_root".
        warmup: How long the rate rises: below 1 a share of all steps, from 1 on a number of
            steps. The inverse square root needs some.
        beta_1: Adam's.
        beta_2: Adam's.
        epsilon: Adam's.
        momentum: SGD's.
        weight_decay: The rate of the decay, multiplied by the learning rate.
        clip_norm: The largest norm of all gradients together; None does not clip.
        accumulation: Batches whose gradients are averaged for one update.

    Returns:
        A Keras optimizer, not yet built.

    Raises:
        ValueError: If an argument breaks its rule.

    Example:
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> optimizer = make_optimizer(model, 100, learning_rate=1e-3, warmup=0.1, weight_decay=0.01)
    >>> float(optimizer.weight_decay)
    0.01
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"an optimizer must be one of {', '.join(OPTIMIZERS)}; got {name!r}")
    if schedule not in SCHEDULES:
        raise ValueError(f"a schedule must be one of {', '.join(SCHEDULES)}; got {schedule!r}")
    if warmup < 0:
        raise ValueError(f"warmup is a share of all steps or a number of steps; got {warmup}")
    rate = _schedule(schedule, learning_rate, max(1, steps), warmup)
    common: dict[str, Any] = {
        "weight_decay": weight_decay or None,
        "global_clipnorm": clip_norm,
        "gradient_accumulation_steps": accumulation if accumulation > 1 else None,
    }
    if name == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=momentum, **common)
    else:
        optimizer = keras.optimizers.Adam(
            rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, **common
        )
    optimizer.exclude_from_weight_decay(var_list=_undecayed(model))
    return optimizer


def _schedule(
    name: str, peak: float, steps: int, warmup: float
) -> keras.optimizers.schedules.LearningRateSchedule:
    rising = max(1, round(warmup * steps if warmup < 1 else warmup)) if warmup else 0
    if name == "inverse_square_root":
        return InverseSquareRoot(peak, rising, min(peak, INITIAL_RATE))
    if name == "linear":
        return WarmupLinearDecay(peak, max(steps, rising + 1), rising)
    if not rising:
        return keras.optimizers.schedules.CosineDecay(peak, steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, steps - rising),
        warmup_target=peak,
        warmup_steps=rising,
    )


def _undecayed(model: keras.Model) -> list[keras.Variable]:
    """Returns biases, and the scales and offsets of normalisation layers."""
    normalising = {
        id(variable)
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, NORMALISATIONS)
        for variable in layer.trainable_variables
    }
    return [
        variable
        for variable in model.trainable_variables
        if id(variable) in normalising or variable.name.endswith("bias")
    ]
