"""`rdrop train`: one run."""

import argparse

from rdrop_tf.cli import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    arguments.add_recipe(parser)
    parser.add_argument(
        "--alpha",
        type=arguments.alpha,
        metavar="A",
        help="0 is ordinary training; default: the recipe's",
    )
    parser.add_argument("--seed", type=arguments.seed, default=0, metavar="S", help="default: 0")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --out, where there is one; a killed run loses 5 minutes",
    )


def run(args: argparse.Namespace) -> None:
    """Trains once and prints the result."""
    from rdrop_tf.tasks import Progress, make_task, train, work_of_an_epoch

    if args.resume and args.out is None:
        raise ValueError("--resume needs --out DIR, the folder of the run that goes on")
    recipe = arguments.recipe_of(args)
    alpha = recipe.alpha if args.alpha is None else args.alpha
    folder = args.out or arguments.new_folder("train", recipe.name)
    print(f"writing to {folder}", flush=True)
    with Progress(recipe.epochs * work_of_an_epoch(alpha)) as progress:
        result = train(
            recipe,
            alpha=alpha,
            seed=args.seed,
            folder=folder,
            resumable=True,
            resume=args.resume,
            progress=progress,
        )
    metric = make_task(recipe).metric
    print(
        f"test {metric.name} {metric.show(result.test)}, "
        f"validation {metric.show(result.validation)} "
        f"(best epoch {metric.show(result.best_validation)}), "
        f"{result.milliseconds_per_step:.1f} ms a step"
    )
