"""`rdrop evaluate`: the figures of a run's checkpoints."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rdrop_tf.cli import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    arguments.add_run(parser)
    parser.add_argument(
        "--against",
        type=Path,
        metavar="RUN",
        help="another run of translation: is RUN better than it, or only luckier?",
    )
    parser.add_argument(
        "--data", metavar="DIR", help="where the data lie now; default: where the run found them"
    )


def run(args: argparse.Namespace) -> None:
    """Evaluates both checkpoints and prints a table."""
    from rdrop_tf.tasks import evaluate

    metrics, figures, notes = evaluate(args.run, args.against, args.data)
    parts = list(next(iter(figures.values())))
    width = 2 + max(len(metric.name) for metric in metrics)
    print(_row("", "", parts, width))
    for metric in metrics:
        for checkpoint, by_part in figures.items():
            cells = [metric.show(by_part[part][metric.name]) for part in parts]
            print(_row(metric.name, checkpoint, cells, width))
    for note in notes:
        print(note)


def _row(name: str, checkpoint: str, cells: Sequence[str], width: int) -> str:
    return f"{name:{width}}{checkpoint:8}{''.join(f'{cell:14}' for cell in cells)}".rstrip()
