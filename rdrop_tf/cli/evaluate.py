"""`rdrop evaluate`: the figures of a run's checkpoints."""

import argparse

from rdrop_tf.cli import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    arguments.add_run(parser)


def run(args: argparse.Namespace) -> None:
    """Evaluates both checkpoints and prints a table."""
    from rdrop_tf.tasks import evaluate

    evaluation = evaluate(args.run)
    show = evaluation.metric.show
    print(f"{evaluation.metric.name:12}{'validation':14}test")
    for checkpoint, figures in evaluation.figures.items():
        print(f"{checkpoint:12}{show(figures['validation']):14}{show(figures['test'])}")
