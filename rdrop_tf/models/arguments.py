"""The rules for the arguments of RDropModel."""

from typing import Any

import keras

from rdrop_tf.losses.checks import check_choice
from rdrop_tf.losses.normalization import NORMALIZATIONS
from rdrop_tf.losses.resolve import DIVERGENCES
from rdrop_tf.models.choice import check_can_share, is_unbuilt
from rdrop_tf.models.passes import FORWARDS


def check_arguments(
    model: Any,
    divergence: Any,
    normalize: Any,
    passes: Any,
    forward: Any,
    views: Any,
    every: Any,
) -> None:
    """Raises unless the arguments of RDropModel, alpha aside, obey their rules."""
    if not isinstance(model, keras.Model):
        raise ValueError(
            "RDropModel wraps a keras.Model: functional, sequential, subclassed or a KerasHub "
            f"task. Received: {model!r} of type {type(model).__name__}"
        )
    if hasattr(model, "alpha_weights"):
        raise ValueError(f"The model '{model.name}' is an RDropModel already; wrap its `.model`")
    if not callable(divergence):
        check_choice("divergence", divergence, DIVERGENCES)
    check_choice("normalize", normalize, NORMALIZATIONS)
    check_choice("forward", forward, FORWARDS)
    _check_whole("passes", passes, 2, "one pass has nothing to be consistent with")
    if views not in (1, passes) or isinstance(views, bool):
        raise ValueError(
            "`views` must be 1 (one input for all passes) or the number of passes. "
            f"Received: views={views!r} and passes={passes}"
        )
    if forward == "shared_prefix" and not (is_unbuilt(model) and views == 1):
        check_can_share(model, views)
    _check_whole("every", every, 1, "1 computes the divergence on every step")


def _check_whole(name: str, value: Any, least: int, why: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(
            f"`{name}` must be a whole number >= {least}: {why}. Received: {name}={value!r}"
        )
