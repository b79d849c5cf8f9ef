"""`rdrop compare`: does R-Drop help on this data?"""

import argparse

from rdrop_tf.cli import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    arguments.add_recipe(parser)
    parser.add_argument(
        "--alphas",
        type=arguments.alphas,
        metavar="A,B,...",
        help="the first is the baseline; default: 0 and the recipe's",
    )
    parser.add_argument(
        "--seeds", type=arguments.seed_count, metavar="N", help="0 to N-1; default: the recipe's"
    )


def run(args: argparse.Namespace) -> None:
    """Trains everything and prints the table and what it allows to say."""
    from rdrop_tf.tasks import Progress, compare, report, work_of_a_comparison

    recipe = arguments.recipe_of(args)
    alphas = args.alphas or [0.0, recipe.alpha]
    seeds = range(args.seeds or recipe.seeds)
    folder = args.out or arguments.new_folder("compare", recipe.name)
    print(f"writing to {folder}", flush=True)
    with Progress(work_of_a_comparison(recipe, alphas, seeds)) as progress:
        comparison = compare(recipe, alphas=alphas, seeds=seeds, folder=folder, progress=progress)
    print(f"\n{report(comparison)}\n\nThe learning curves are in {folder / 'plot.png'}.")
