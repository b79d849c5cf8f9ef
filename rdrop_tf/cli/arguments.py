"""What users may write behind an option, and the sentence where they may not."""

import argparse
import json
import math
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from rdrop_tf._digests import is_sha256
from rdrop_tf.recipes import DTYPES, Recipe, find_recipe
from rdrop_tf.recipes.ranges import RANGES


class BadUsage(ValueError):  # noqa: N818
    """Options that do not go together."""


def alpha(text: str) -> float:
    """Reads the weight of the consistency term."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"alpha must be a number >= 0; got {text!r}")
    return value


def alphas(text: str) -> list[float]:
    """Reads two or more alphas with commas between."""
    values = [alpha(part) for part in text.split(",")]
    if len(values) < 2 or len(set(values)) < len(values):
        raise argparse.ArgumentTypeError(
            f"two or more different alphas must be given, the baseline first; got {text!r}: "
            "write for example 0,1,5"
        )
    return values


def seed(text: str) -> int:
    """Reads a seed."""
    return _whole_number(text, "a seed", 0, 2**32 - 1)


def seed_count(text: str) -> int:
    """Reads how many seeds are compared; one alone gives no interval."""
    return _whole_number(text, "the number of seeds", 2, 1000)


def rank(text: str) -> int:
    """Reads the rank of low-rank updates."""
    return _whole_number(text, "the rank", 1, 1024)


def sha256(text: str) -> str:
    """Reads a SHA-256 as `sha256sum` prints it."""
    if not is_sha256(text.lower()):
        raise argparse.ArgumentTypeError(
            f"a SHA-256 must be 64 hexadecimal digits; got {text!r}: `sha256sum FILE` prints it"
        )
    return text.lower()


def epochs(text: str) -> int:
    """Reads a number of epochs."""
    return _whole_number(text, "the number of epochs", 1, 1_000_000)


class Setting(NamedTuple):
    """The path of a setting, its value, and both as the user wrote them."""

    path: list[str]
    value: Any
    text: str


def setting(text: str) -> Setting:
    """Reads the path of a setting and its value: JSON, or else a text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(
            f"a setting must be NAME=VALUE, such as data.lower=true; got {text!r}"
        )
    try:
        return Setting(name.split("."), json.loads(value), text)
    except json.JSONDecodeError:
        return Setting(name.split("."), value, text)


def recipe(text: str) -> Recipe:
    """Finds the recipe of that name."""
    try:
        return find_recipe(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of all commands that train."""
    parser.add_argument("recipe", type=recipe, metavar="RECIPE", help="see `rdrop recipes`")
    parser.add_argument("--epochs", type=epochs, metavar="E", help="default: the recipe's")
    parser.add_argument(
        "--dtype", choices=DTYPES, help="what the model computes in; default: the recipe's"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="a new or empty folder; default: one under runs/"
    )
    add_settings(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Adds the options that change a recipe's data or model."""
    parser.add_argument(
        "--set",
        action="append",
        type=setting,
        default=[],
        metavar="NAME=VALUE",
        help="change a setting of the recipe, such as batch_size=2048; may be repeated",
    )
    data = parser.add_argument_group("the data")
    data.add_argument("--data", metavar="DIR", help="where the data lie; see `rdrop recipes`")
    data.add_argument(
        "--strict", action="store_true", default=None, help="stop where an input cannot be read"
    )
    model = parser.add_argument_group("the model")
    model.add_argument(
        "--preset", metavar="NAME", help="a KerasHub preset, a folder of one, or random-tiny"
    )
    model.add_argument(
        "--sha256", type=sha256, metavar="DIGEST", help="what the preset's weights must have"
    )
    model.add_argument(
        "--lora", type=rank, metavar="RANK", help="train low-rank updates and the head alone"
    )


def recipe_of(args: argparse.Namespace) -> Recipe:
    """Returns the recipe with what the command line changed.

    Raises:
        BadUsage: If the recipe has no such setting, or its task refuses a value.
    """
    from rdrop_tf.tasks import make_task

    try:
        recipe = _changed_recipe(args)
        make_task(recipe)
    except ValueError as error:
        raise BadUsage(str(error)) from error
    return recipe


def _changed_recipe(args: argparse.Namespace) -> Recipe:
    recipe: Recipe = args.recipe
    for changed in getattr(args, "set", []):
        recipe = _with_setting(recipe, changed.path, changed.value)
    data = {"folder": args.data, "strict": args.strict}
    model = {"preset": args.preset, "sha256": args.sha256, "lora": args.lora}
    recipe = replace(
        recipe,
        epochs=getattr(args, "epochs", None) or recipe.epochs,
        dtype=getattr(args, "dtype", None) or recipe.dtype,
        data=_changed(recipe, "data", recipe.data, data),
        model=_changed(recipe, "model", recipe.model, model),
    )
    if recipe.data.get("folder") is None:
        return recipe
    # A run is evaluated from any directory.
    folder = os.path.abspath(recipe.data["folder"])
    return replace(recipe, data={**recipe.data, "folder": folder})


WHAT_A_RECIPE_IS = (["name"], ["task"])


def _with_setting(recipe: Recipe, path: list[str], value: Any) -> Recipe:
    """Returns the recipe with one of its settings changed."""
    if path in WHAT_A_RECIPE_IS:
        raise ValueError(
            f"{path[0]} is what a recipe is, and its other settings go with it; got "
            f"{path[0]}={value} for {recipe.name!r}: choose another recipe, see `rdrop recipes`"
        )
    settings = recipe.as_dict()
    *outer, last = path
    inner: Any = settings
    for name in outer:
        inner = inner.get(name) if isinstance(inner, dict) else None
    known = sorted(inner) if isinstance(inner, dict) else []
    # What a named size is changed by is empty in most recipes.
    if last not in known and outer != ["model", "changes"]:
        raise ValueError(
            f"--set names a setting of the recipe; got {'.'.join(path)}, and "
            f"{'.'.join(outer) or repr(recipe.name)} has {', '.join(known) or 'none'}"
        )
    _check_kind(".".join(path), inner.get(last), value)
    inner[last] = value
    return Recipe.from_dict(settings)


def _check_kind(name: str, old: Any, new: Any) -> None:
    if new is None and name in RANGES:
        return  # its range says whether there may be none
    kinds: Any = (int, float) if isinstance(old, float) else type(old)
    is_other_bool = isinstance(new, bool) is not isinstance(old, bool)
    if old is not None and (not isinstance(new, kinds) or is_other_bool):
        raise ValueError(
            f"{name} must be of the kind of its value in the recipe, {json.dumps(old)}; "
            f"got {json.dumps(new)}"
        )


OPTIONS = {
    "folder": "--data",
    "strict": "--strict",
    "preset": "--preset",
    "sha256": "--sha256",
    "lora": "--lora",
}


def text_of_settings(args: argparse.Namespace) -> list[str]:
    """Returns what `add_settings` read but for the data, as words of a command line."""
    words = [word for changed in args.set for word in ("--set", changed.text)]
    for name in ("preset", "sha256", "lora"):
        if getattr(args, name) is not None:
            words += [f"--{name}", str(getattr(args, name))]
    return words


def _changed(
    recipe: Recipe, what: str, settings: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    wanted = {name: value for name, value in given.items() if value is not None}
    for name, value in wanted.items():
        if name not in settings:
            raise ValueError(
                f"{OPTIONS[name]} is for recipes with such a setting of their {what}; got "
                f"{OPTIONS[name]} {value} for {recipe.name!r}, which has none: leave it out"
            )
    return {**settings, **wanted}


def add_run(parser: argparse.ArgumentParser) -> None:
    """Adds the argument of all commands that use a trained run."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a folder that `rdrop train` wrote")


def new_folder(command: str, name: str) -> Path:
    """Names a folder of this moment under runs/."""
    return Path("runs") / f"{name}-{command}-{datetime.now():%Y%m%d-%H%M%S}"


def _whole_number(text: str, what: str, least: int, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(
            f"{what} must be a whole number from {least} to {most}; got {text!r}"
        )
    return value
