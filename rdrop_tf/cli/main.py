"""The `rdrop` command: reads the line, runs what it asks for, and says what went wrong."""

import argparse
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NoReturn

from rdrop_tf._preemption import preempted_on_sigterm
from rdrop_tf._version import __version__
from rdrop_tf.cli import arguments, compare, evaluate, predict, prepare, quiet, recipes, train

DONE, FAILED, BAD_USAGE = 0, 1, 2

# Errors whose text was written for the user; any other is shown with its type.
SAID_FOR_THE_USER = (ValueError, OSError, FloatingPointError)

# What TensorFlow's graphs and Keras' layers put around the text of such an error.
_OF_A_GRAPH = re.compile(r"^in user code: .*?\b[A-Za-z]+(?:Error|Exception): (?!.*in user code: )")
_OF_A_LAYER = re.compile(r"^Exception encountered when calling .*?\(\)\. ")
_BEHIND_IT = re.compile(r" (?:Call a|A)rguments received by .*$")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

# What TensorFlow makes of such an error inside of a `tf.data` pipeline.
_IN_A_PIPELINE = re.compile(
    r"\b(?:ValueError|OSError|FileNotFoundError): (.+?) Traceback \(most recent call last\)"
)

COMMANDS = {
    "prepare": (prepare, "write a data set as shards, for data larger than memory"),
    "train": (train, "train once"),
    "evaluate": (evaluate, "evaluate a run's checkpoints"),
    "predict": (predict, "read lines, write predictions"),
    "compare": (compare, "does R-Drop help on this data?"),
    "recipes": (recipes, "list the data sets"),
}


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors take one line."""

    def error(self, message: str) -> NoReturn:
        """Says what is wrong and where the usage stands."""
        self.exit(BAD_USAGE, f"{self.prog}: error: {message} (usage: {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: The arguments; those of the process unless given.

    Returns:
        0 when done, 1 when it failed, 2 where options do not go together. An option that is
        wrong by itself exits with 2.

    Example:
    >>> main(["recipes"])  # doctest: +ELLIPSIS
    digits
    ...
    0
    """
    args = _parser().parse_args(argv)
    try:
        with preempted_on_sigterm() if args.command == "train" else nullcontext():
            _run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has had enough; without this Python complains at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        print("\nrdrop: interrupted; the files written so far stay", file=sys.stderr)
        return FAILED
    except Exception as error:
        if args.debug:
            traceback.print_exc()
        else:
            print(f"rdrop: error: {_one_line(error)}", file=sys.stderr)
        return BAD_USAGE if isinstance(error, arguments.BadUsage) else FAILED
    return DONE


def _parser() -> argparse.ArgumentParser:
    # Both `rdrop --debug train` and `rdrop train --debug`; a subcommand's default must not
    # undo what stands before it.
    debug: dict[str, Any] = {"action": "store_true", "help": "show tracebacks and all messages"}
    parser = OneLineParser(prog="rdrop", description="Train Keras models with R-Drop.")
    parser.add_argument("--version", action="version", version=f"rdrop {__version__}")
    parser.add_argument("--debug", **debug)
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=OneLineParser
    )
    for name, (command, summary) in COMMANDS.items():
        subparser = commands.add_parser(name, help=summary, description=command.__doc__)
        subparser.add_argument("--debug", default=argparse.SUPPRESS, **debug)
        command.add_arguments(subparser)
    return parser


def _run(args: argparse.Namespace) -> None:
    if args.command != "recipes" and not args.debug:
        quiet.import_tensorflow()
    with nullcontext() if args.debug else quiet.warnings_in_one_line():
        COMMANDS[args.command][0].run(args)


def _one_line(error: Exception) -> str:
    text = " ".join(_COLOURS.sub("", str(error)).split())
    if isinstance(error, SAID_FOR_THE_USER):
        for around in (_OF_A_GRAPH, _OF_A_LAYER, _BEHIND_IT):
            text = around.sub("", text)
        return text
    said = _IN_A_PIPELINE.search(text)
    if said:
        return said[1]
    return f"{type(error).__name__}: {text} (--debug shows where)"
