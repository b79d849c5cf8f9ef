"""The options of a way of decoding, checked before anything is decoded."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from rdrop_tf.text.decoding.checks import check_beams, check_sampling, check_whole
from rdrop_tf.text.decoding.rules import Rules, reach_of


def check_options(method: Callable[..., Any], options: Mapping[str, Any], decoder: Any) -> Rules:
    """Checks the options of `beam_search`, `greedy` or `sample`.

    Args:
        method: The function.
        options: What it will be given beside decoder and source.
        decoder: The model.

    Returns:
        The rules that they make.

    Raises:
        TypeError: If there is no such option.
        ValueError: If an option breaks its rule.

    Example:
    >>> from rdrop_tf.text.decoding import greedy
    >>> check_options(greedy, {"max_length": 7}, decoder=None).max_length
    7
    """
    parameters = inspect.signature(method).parameters
    known = {name: p.default for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    for name in options:
        if name not in known:
            raise TypeError(
                f"the options of {method.__name__} are {', '.join(known)}. Received: "
                f"{name}={options[name]!r}"
            )
    given = {**known, **options}
    if "beams" in given:
        check_beams(given["beams"], given["n_best"])
    if "temperature" in given:
        check_sampling(given["temperature"], given["top_k"], given["top_p"])
        check_whole("seed", given["seed"], 0)
    own = {field.name: given[field.name] for field in fields(Rules) if field.name in given}
    return Rules(**own, reach=reach_of(decoder))
