"""`rdrop predict`: lines in, lines out; or the files that a benchmark takes."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rdrop_tf.cli import arguments
from rdrop_tf.cli.arriving_lines import ArrivingLines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    arguments.add_run(parser)
    parser.add_argument(
        "--submission",
        type=Path,
        metavar="DIR",
        help="answer the data set's test rows with files for its benchmark, and read no lines",
    )
    parser.add_argument(
        "--data", metavar="DIR", help="where the test rows lie; default: where the run found them"
    )


def run(args: argparse.Namespace) -> None:
    """Predicts one line for every line of standard input, or writes submissions."""
    for line in _answers(args):
        print(line, flush=True)


def _answers(args: argparse.Namespace) -> Iterable[str]:
    from rdrop_tf.tasks import predict, write_submissions

    if args.submission is not None:
        return write_submissions(args.run, args.submission, args.data)
    if args.data is not None:
        raise ValueError(
            "--data is for the test rows of --submission; got "
            f"--data {args.data} without it: add --submission DIR, or leave --data out"
        )
    # What was put in the place of standard input may give texts and have no bytes.
    if not hasattr(sys.stdin, "buffer"):
        return predict(args.run, sys.stdin)
    lines = ArrivingLines(sys.stdin.buffer)
    return predict(args.run, decoded(lines), lines.has_arrived)


def decoded(lines: Iterable[bytes]) -> Iterator[str]:
    """Reads lines as UTF-8, whatever the locale is: it is the same data everywhere.

    Args:
        lines: The lines as bytes.

    Yields:
        Each as a text.

    Raises:
        ValueError: If one is no UTF-8.

    Example:
    >>> list(decoded(["é".encode()]))
    ['é']
    """
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"line {number}: lines must be UTF-8; got the byte 0x{line[error.start]:02x} at "
                f"place {error.start + 1}: convert them first, for example by `iconv -f latin1 -t "
                "utf-8`, if that is what they are"
            ) from error
