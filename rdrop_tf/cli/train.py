"""`rdrop train`: one run."""

import argparse
import os
import sys

from rdrop_tf._preemption import preempted_on_sigterm
from rdrop_tf.cli import arguments

# As in `rdrop_tf.training` and `rdrop_tf.tasks`, whose import takes seconds.
STRATEGIES = ("none", "mirrored", "multiworker", "tpu")
ON_NAN = ("stop", "skip")


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
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default="none",
        help="the devices: all of this machine, or of several; default: one",
    )
    parser.add_argument(
        "--on-nan",
        choices=ON_NAN,
        default="stop",
        help="where the loss is no number: stop, or leave up to 10 such steps out",
    )


def run(args: argparse.Namespace) -> None:
    """Trains once and prints the result."""
    from rdrop_tf.training import make_strategy

    if args.resume and args.out is None:
        raise arguments.BadUsage("--resume needs --out DIR, the folder of the run that goes on")
    if args.strategy == "multiworker" and args.out is None:
        raise arguments.BadUsage(
            "--strategy multiworker needs --out DIR, a folder that all workers see"
        )
    # Before anything else: several workers find each other only in a fresh TensorFlow.
    strategy = make_strategy(args.strategy)

    from rdrop_tf.tasks import Progress, make_task, train, work_of_an_epoch

    recipe = arguments.recipe_of(args)
    alpha = recipe.alpha if args.alpha is None else args.alpha
    folder = args.out or arguments.new_folder("train", recipe.name)
    if strategy.is_chief:
        print(f"writing to {folder}", flush=True)
    stream = sys.stdout if strategy.is_chief else open(os.devnull, "w")  # noqa: SIM115 (to the end)
    total = recipe.epochs * work_of_an_epoch(alpha)
    # Once more: what makes several workers find each other may have taken the signal.
    with preempted_on_sigterm(), Progress(total, stream) as progress:
        result = train(
            recipe,
            alpha=alpha,
            seed=args.seed,
            folder=folder,
            resumable=True,
            resume=args.resume,
            strategy=strategy,
            on_nan=args.on_nan,
            progress=progress,
        )
    if not strategy.is_chief:
        return
    metric = make_task(recipe).metric
    print(
        f"test {metric.name} {metric.show(result.test)}, "
        f"validation {metric.show(result.validation)} "
        f"(best epoch {metric.show(result.best_validation)}), "
        f"{result.milliseconds_per_step:.1f} ms a step"
    )
