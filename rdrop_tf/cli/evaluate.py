"""`rdrop evaluate`: the figures of a run's checkpoints."""

import argparse

from rdrop_tf.cli import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    arguments.add_run(parser)


def run(args: argparse.Namespace) -> None:
    """Evaluates both checkpoints and prints a table."""
    from rdrop_tf.tasks import evaluate

    metrics, figures = evaluate(args.run)
    parts = list(next(iter(figures.values())))
    print(f"{'':24}" + "".join(f"{part:14}" for part in parts).rstrip())
    for metric in metrics:
        for checkpoint, by_part in figures.items():
            cells = [metric.show(by_part[part][metric.name]) for part in parts]
            print(
                f"{metric.name:16}{checkpoint:8}" + "".join(f"{cell:14}" for cell in cells).rstrip()
            )
