"""Starts the `rdrop` command.

A module beside the package, because importing any part of `rdrop_tf` imports Keras with it
(saved models load only where our classes are registered), unless this module is there first:
the command reads its arguments, and quiets TensorFlow, before it pays for Keras.
"""

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; see `rdrop_tf.cli.main`."""
    from rdrop_tf.cli.main import main as command

    return command(argv)
