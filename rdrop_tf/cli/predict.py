"""`rdrop predict`: lines in, lines out."""

import argparse
import sys

from rdrop_tf.cli import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    arguments.add_run(parser)


def run(args: argparse.Namespace) -> None:
    """Predicts one line for every line of standard input."""
    from rdrop_tf.tasks import predict

    for line in predict(args.run, sys.stdin):
        print(line)
