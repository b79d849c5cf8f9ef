"""The weight of the divergence: a number, a schedule, or one of these for each output."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import keras
from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.checks import check_alpha

# A number, a `LearningRateSchedule`, or one of these by output name. Keras ships no types, so
# a schedule is Any to a type checker.
AlphaLike: TypeAlias = float | Mapping[str, Any] | Any


class Alpha:
    """What was asked for, checked, with variables so that numbers can change in training.

    A number lives in a variable: changing it between epochs retraces nothing. Schedules
    are functions of the optimizer's step.
    """

    def __init__(self, alpha: AlphaLike) -> None:
        self.entries = _entries(alpha)
        self.by_output = isinstance(alpha, Mapping)
        self.variables = {
            name: keras.Variable(value, dtype="float32", trainable=False, name="alpha")
            for name, value in self.entries.items()
            if not _is_schedule(value)
        }

    @property
    def setting(self) -> AlphaLike:
        """Alpha as the user wrote it."""
        return dict(self.entries) if self.by_output else self.entries[""]

    @property
    def is_zero(self) -> bool:
        """Whether no output has a divergence: a constant 0 everywhere."""
        return all(self.is_zero_for(name) for name in self.entries)

    def is_zero_for(self, output: str) -> bool:
        """Whether this output's alpha is a constant 0."""
        entry = self._entry(output)
        return not _is_schedule(entry) and entry == 0

    def value(self, output: str, step: Tensor) -> Tensor:
        """Returns alpha of one output at an optimizer step, as a tensor."""
        entry = self._entry(output)
        if _is_schedule(entry):
            return ops.cast(entry(step), "float32")
        return ops.convert_to_tensor(self.variables[self._key(output)])

    def check_outputs(self, outputs: Iterable[str]) -> None:
        """Raises unless a dict names exactly the outputs that have a loss."""
        names = sorted(outputs)
        if self.by_output and sorted(self.entries) != names:
            raise ValueError(
                "`alpha` as a dict needs one entry for each output that has a loss: "
                f"{', '.join(map(repr, names))}. Received: alpha={self.setting}"
            )

    def change(self, alpha: AlphaLike) -> None:
        """Sets new numbers in place of numbers.

        Raises:
            ValueError: If the new alpha is not of the same kind.
        """
        entries = _entries(alpha)
        same_kind = (
            isinstance(alpha, Mapping) == self.by_output
            and entries.keys() == self.entries.keys()
            and not any(map(_is_schedule, [*entries.values(), *self.entries.values()]))
        )
        if not same_kind:
            raise ValueError(
                "`alpha` can change from number to number, or from a dict of numbers to one "
                "with the same outputs; for anything else make a new RDropModel. "
                f"Received: {alpha!r} in place of {self.setting!r}"
            )
        self.entries = entries
        for name, variable in self.variables.items():
            variable.assign(entries[name])

    def _key(self, output: str) -> str:
        return output if self.by_output else ""

    def _entry(self, output: str) -> Any:
        return self.entries[self._key(output)]


def _entries(alpha: AlphaLike) -> dict[str, Any]:
    if isinstance(alpha, Mapping):
        if not alpha:
            raise ValueError("`alpha` as a dict needs an entry for each output. Received: {}")
        return {str(name): _entry(value, f"alpha[{name!r}]") for name, value in alpha.items()}
    return {"": _entry(alpha, "alpha")}


def _entry(value: Any, name: str) -> Any:
    return value if _is_schedule(value) else check_alpha(value, name)


def _is_schedule(value: Any) -> bool:
    return isinstance(value, keras.optimizers.schedules.LearningRateSchedule)
