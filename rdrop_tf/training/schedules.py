"""How the learning rate moves where Keras has no schedule for it."""

from typing import Any

import keras
from keras import ops

from rdrop_tf._typing import Tensor


@keras.saving.register_keras_serializable(package="rdrop_tf")
class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 to a peak and falls linearly to 0 at the last step.

    Formula, with t the step, W the warm-up's steps and T all steps:

        t < W            peak · t / W
        W <= t < T       peak · (T - t) / (T - W)

    and 0 from T on. BERT's schedule (arXiv 1810.04805).

    Args:
        peak: The highest rate.
        total_steps: T, > 0.
        warmup_steps: W, from 0 to T - 1.

    Raises:
        ValueError: If an argument breaks its rule.

    Example:
    >>> schedule = WarmupLinearDecay(1.0, total_steps=10, warmup_steps=2)
    >>> [float(schedule(step)) for step in (0, 1, 2, 6, 10, 11)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """

    def __init__(self, peak: float, total_steps: int, warmup_steps: int = 0) -> None:
        super().__init__()
        if not 0 <= warmup_steps < total_steps:
            raise ValueError(
                "warmup_steps must be from 0 to total_steps - 1; "
                f"got warmup_steps={warmup_steps} and total_steps={total_steps}"
            )
        self.peak, self.total_steps, self.warmup_steps = peak, total_steps, warmup_steps

    def __call__(self, step: Tensor) -> Tensor:
        """Returns the rate at a step."""
        step = ops.cast(step, "float32")
        rising = step / max(self.warmup_steps, 1)
        falling = (self.total_steps - step) / (self.total_steps - self.warmup_steps)
        return self.peak * ops.where(
            step < self.warmup_steps, rising, ops.maximum(falling, ops.zeros_like(falling))
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
        }


@keras.saving.register_keras_serializable(package="rdrop_tf")
class InverseSquareRoot(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to a peak, then falls with the inverse square root of the step.

    Formula, with t the step and W the warm-up's steps:

        t < W      initial + (peak - initial) t / W
        W <= t     peak sqrt(W / t)

    fairseq's schedule, after "Attention Is All You Need" (arXiv 1706.03762, section 5.3).

    Args:
        peak: The highest rate.
        warmup_steps: W, >= 1.
        initial: The rate at step 0.

    Raises:
        ValueError: If `warmup_steps` is below 1.

    Example:
    >>> schedule = InverseSquareRoot(1.0, warmup_steps=4, initial=0.5)
    >>> [float(schedule(step)) for step in (0, 2, 4, 16)]
    [0.5, 0.75, 1.0, 0.5]
    """

    def __init__(self, peak: float, warmup_steps: int, initial: float = 0.0) -> None:
        super().__init__()
        if warmup_steps < 1:
            raise ValueError(f"warmup_steps must be 1 or more; got {warmup_steps}")
        self.peak, self.warmup_steps, self.initial = peak, warmup_steps, initial

    def __call__(self, step: Tensor) -> Tensor:
        """Returns the rate at a step."""
        step = ops.cast(step, "float32")
        rising = self.initial + (self.peak - self.initial) * step / self.warmup_steps
        later = ops.maximum(step, ops.ones_like(step) * self.warmup_steps)
        falling = self.peak * ops.sqrt(self.warmup_steps / later)
        return ops.where(step < self.warmup_steps, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {"peak": self.peak, "warmup_steps": self.warmup_steps, "initial": self.initial}
