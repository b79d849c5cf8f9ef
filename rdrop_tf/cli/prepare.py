"""`rdrop prepare`: a data set as shards."""

import argparse
import shlex
from pathlib import Path

from rdrop_tf.cli import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    parser.add_argument(
        "recipe", type=arguments.recipe, metavar="RECIPE", help="see `rdrop recipes`"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        required=True,
        help="a new or empty folder for the shards",
    )
    arguments.add_settings(parser)


def run(args: argparse.Namespace) -> None:
    """Writes the shards and says what they hold."""
    from rdrop_tf.tasks import make_task

    recipe = arguments.recipe_of(args)
    task = make_task(recipe)
    rows = task.prepare(args.out)
    about = task.about_data()
    if about is not None:
        print(about)
    for part, count in rows.items():
        print(f"{part}: {count:,} rows")
    line = ["rdrop", "train", recipe.name, "--data", str(args.out)]
    print(f"to train on them: {shlex.join([*line, *arguments.text_of_settings(args)])}")
