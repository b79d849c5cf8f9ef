"""From a loss as users write it to its head."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.bernoulli_kl import bernoulli_kl
from rdrop_tf.losses.checks import check_choice
from rdrop_tf.losses.heads import (
    CLASS_DIVERGENCES,
    BernoulliHead,
    Divergence,
    Head,
    PlainHead,
    RegressionHead,
    SoftmaxHead,
    squared_difference_of_units,
)
from rdrop_tf.losses.jensen_shannon import jensen_shannon
from rdrop_tf.losses.kl_forward import kl_forward
from rdrop_tf.losses.regression import ErrorLoss, huber, log_cosh
from rdrop_tf.losses.smoothed import SmoothedSparseCategoricalCrossentropy
from rdrop_tf.losses.squared_difference import squared_difference
from rdrop_tf.losses.symmetric_kl import symmetric_kl

# Functions that are known by name: as names they hear whether predictions are logits.
_NAMES: dict[Any, str] = {
    symmetric_kl: "symmetric_kl",
    jensen_shannon: "jensen_shannon",
    kl_forward: "kl_forward",
    bernoulli_kl: "bernoulli_kl",
    squared_difference: "squared_difference",
}
DIVERGENCES = ("auto", *CLASS_DIVERGENCES, "bernoulli_kl", "squared_difference")

_SPARSE = keras.losses.SparseCategoricalCrossentropy
_DENSE = keras.losses.CategoricalCrossentropy
_BINARY = keras.losses.BinaryCrossentropy
_REGRESSION: dict[type[keras.losses.Loss], Callable[[keras.losses.Loss], ErrorLoss]] = {
    keras.losses.MeanSquaredError: lambda loss: ops.square,
    keras.losses.MeanAbsoluteError: lambda loss: ops.abs,
    keras.losses.Huber: lambda loss: huber(_option(loss, "delta", 1.0)),
    keras.losses.LogCosh: lambda loss: log_cosh,
}
# Functions of `keras.losses` by the class that holds their options.
_CLASS_OF_FUNCTION: dict[Any, type[keras.losses.Loss]] = {
    keras.losses.sparse_categorical_crossentropy: _SPARSE,
    keras.losses.categorical_crossentropy: _DENSE,
    keras.losses.binary_crossentropy: _BINARY,
    keras.losses.mean_squared_error: keras.losses.MeanSquaredError,
    keras.losses.mean_absolute_error: keras.losses.MeanAbsoluteError,
    keras.losses.huber: keras.losses.Huber,
    keras.losses.log_cosh: keras.losses.LogCosh,
}


class FunctionLoss(keras.losses.Loss):
    """A function of (y_true, y_pred) as a loss, for functions that have no class."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], name: str | None = None):
        super().__init__(name=name or getattr(function, "__name__", None))
        self.function = function

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns what the function returns."""
        return self.function(y_true, y_pred)


def resolve_loss(loss: Any) -> keras.losses.Loss:
    """Returns the loss object behind a name, a function or a loss object.

    Functions of `keras.losses` become their class, so that their options can be read.

    Raises:
        ValueError: If it is none of these, or returns no value to average.
    """
    found = keras.losses.get(loss)
    if found is None:
        raise ValueError(
            "A loss is needed: a name such as 'sparse_categorical_crossentropy', or a "
            f"keras.losses.Loss. Received: loss={loss!r}"
        )
    if not isinstance(found, keras.losses.Loss):
        known = _CLASS_OF_FUNCTION.get(found)
        return known() if known is not None else FunctionLoss(found)
    return _unwrap_function(found)


def name_if_known(divergence: str | Divergence) -> str | Divergence:
    """Returns the name of a divergence of this package, anything else as it is."""
    return divergence if isinstance(divergence, str) else _NAMES.get(divergence, divergence)


def resolve_head(loss: keras.losses.Loss, divergence: str | Divergence) -> Head:
    """Returns the head that belongs to a loss.

    Args:
        loss: A loss object as `resolve_loss` returns it.
        divergence: A name, or a function of two predictions that returns one value per
            position.

    Raises:
        ValueError: If the name is unknown, does not fit the loss, or "auto" knows no
            divergence for it.
    """
    divergence = name_if_known(divergence)
    if not callable(divergence):
        check_choice("divergence", divergence, DIVERGENCES)
    if isinstance(loss, (_SPARSE, _DENSE)):
        return _softmax_head(loss, divergence)
    if isinstance(loss, _BINARY):
        return _bernoulli_head(loss, divergence)
    if callable(divergence):
        return PlainHead(loss, divergence)
    if isinstance(loss, tuple(_REGRESSION)):
        return _regression_head(loss, divergence)
    return _foreign_head(loss, divergence)


def _softmax_head(loss: keras.losses.Loss, divergence: str | Divergence) -> Head:
    axis = _option(loss, "axis", -1)
    of_logs = isinstance(divergence, str) and divergence != "squared_difference"
    if isinstance(divergence, str):
        known: dict[str, Divergence] = {
            "auto": CLASS_DIVERGENCES["symmetric_kl"],
            "squared_difference": partial(_squared_difference_along, axis),
            **CLASS_DIVERGENCES,
        }
        _require_fit(divergence in known, divergence, loss, "one class of many")
        divergence = known[divergence]
    return SoftmaxHead(
        loss,
        divergence,
        from_logits=_option(loss, "from_logits", False),
        sparse=isinstance(loss, _SPARSE),
        of_logs=of_logs,
        axis=axis,
        label_smoothing=_option(loss, "label_smoothing", 0.0),
        ignore_class=_option(loss, "ignore_class", None),
        standard=_is_standard(loss),
    )


def _bernoulli_head(loss: keras.losses.Loss, divergence: str | Divergence) -> Head:
    axis = _option(loss, "axis", -1)
    if divergence in ("auto", "bernoulli_kl"):
        divergence = "symmetric_kl"
    elif divergence == "squared_difference":
        divergence = partial(_squared_difference_along, axis)
    return BernoulliHead(
        loss,
        divergence,
        from_logits=_option(loss, "from_logits", False),
        axis=axis,
        label_smoothing=_option(loss, "label_smoothing", 0.0),
        standard=_is_standard(loss),
    )


def _regression_head(loss: keras.losses.Loss, divergence: str) -> Head:
    fits = divergence in ("auto", "squared_difference")
    _require_fit(fits, divergence, loss, "a number, not a distribution")
    formula = next(make for known, make in _REGRESSION.items() if isinstance(loss, known))
    return RegressionHead(loss, formula(loss) if _is_standard(loss) else None)


def _squared_difference_along(axis: int, a: Tensor, b: Tensor) -> Tensor:
    return squared_difference(ops.moveaxis(a, axis, -1), ops.moveaxis(b, axis, -1))


def _foreign_head(loss: keras.losses.Loss, divergence: str) -> Head:
    if divergence == "auto":
        raise ValueError(
            f"No divergence is known for the loss `{_name(loss)}`: pass `divergence=` one of "
            f"{', '.join(repr(name) for name in DIVERGENCES[1:])}, or a function of two "
            "predictions that returns one value per position. Received: divergence='auto'"
        )
    if divergence == "squared_difference":
        return PlainHead(loss, squared_difference_of_units)
    from_logits = getattr(loss, "from_logits", None)
    if from_logits is None:
        raise ValueError(
            f"divergence={divergence!r} has to know whether the model puts out logits, and "
            f"the loss `{_name(loss)}` has no attribute `from_logits`: set it to True or False "
            "on the loss, or pass a function of two predictions as `divergence`"
        )
    if divergence == "bernoulli_kl":
        return BernoulliHead(loss, "symmetric_kl", bool(from_logits), standard=False)
    return SoftmaxHead(
        loss,
        CLASS_DIVERGENCES[divergence],
        from_logits=bool(from_logits),
        sparse=False,
        standard=False,
    )


def _require_fit(fits: bool, divergence: str, loss: keras.losses.Loss, what: str) -> None:
    if not fits:
        raise ValueError(
            f"divergence={divergence!r} does not fit the loss `{_name(loss)}`, which predicts "
            f"{what}; leave `divergence` at 'auto' to get the one that fits"
        )


def _unwrap_function(loss: keras.losses.Loss) -> keras.losses.Loss:
    """Turns Keras' wrapper of one of its own functions into the class of that function."""
    function = getattr(loss, "fn", None)
    known = _CLASS_OF_FUNCTION.get(function) if function is not None else None
    if known is None or isinstance(loss, known):
        return loss
    return known(reduction=loss.reduction, name=loss.name, **getattr(loss, "_fn_kwargs", {}))


def _is_standard(loss: keras.losses.Loss) -> bool:
    """Whether `call` is Keras' own; a subclass that overrides it keeps its formula."""
    return type(loss).call in (_SPARSE.call, SmoothedSparseCategoricalCrossentropy.call)


def _option(loss: keras.losses.Loss, name: str, default: Any) -> Any:
    options = getattr(loss, "_fn_kwargs", {})
    return options.get(name, getattr(loss, name, default))


def _name(loss: keras.losses.Loss) -> str:
    return str(getattr(loss, "name", None) or type(loss).__name__)
