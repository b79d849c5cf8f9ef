"""`rdrop recipes`: every data set."""

import argparse

from rdrop_tf.recipes import RECIPES, measured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Takes nothing."""


def run(args: argparse.Namespace) -> None:
    """Prints every recipe."""
    for name, recipe in RECIPES.items():
        print(name)
        print(f"  {recipe.summary}")
        print(f"  data:     {recipe.source}")
        print(f"  paper:    {recipe.paper}")
        print("  measured: " + "\n            ".join(measured(name)))
