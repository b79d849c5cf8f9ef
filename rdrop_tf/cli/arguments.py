"""What users may write behind an option, and the sentence where they may not."""

import argparse
import math
from datetime import datetime
from pathlib import Path

from rdrop_tf.recipes import Recipe, find_recipe


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


def epochs(text: str) -> int:
    """Reads a number of epochs."""
    return _whole_number(text, "the number of epochs", 1, 1_000_000)


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
        "--out", type=Path, metavar="DIR", help="a new or empty folder; default: one under runs/"
    )


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
