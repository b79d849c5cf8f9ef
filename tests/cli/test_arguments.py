import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rdrop_tf.cli import arguments
from rdrop_tf.recipes import DIGITS


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (arguments.alpha, "0", 0.0),
        (arguments.alpha, "0.5", 0.5),
        (arguments.alphas, "0,1,5", [0.0, 1.0, 5.0]),
        (arguments.alphas, "1, 0", [1.0, 0.0]),
        (arguments.seed, "0", 0),
        (arguments.seed_count, "2", 2),
        (arguments.epochs, "1", 1),
        (arguments.recipe, "digits", DIGITS),
    ],
)
def test_good_values(read: Callable[[str], Any], text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "sentence"),
    [
        (arguments.alpha, "-1", "alpha must be a number >= 0; got '-1'"),
        (arguments.alpha, "nan", "alpha must be a number >= 0; got 'nan'"),
        (arguments.alpha, "inf", "alpha must be a number >= 0; got 'inf'"),
        (arguments.alpha, "one", "alpha must be a number >= 0; got 'one'"),
        (arguments.alphas, "1", "two or more different alphas must be given, .*got '1': write for"),
        (arguments.alphas, "1,1.0", "two or more different alphas must be given, .*got '1,1.0'"),
        (arguments.alphas, "0,,1", "alpha must be a number >= 0; got ''"),
        (arguments.seed, "-1", "a seed must be a whole number from 0 to 4294967295; got '-1'"),
        (arguments.seed, "1.5", "a seed must be a whole number from 0 to 4294967295; got '1.5'"),
        (arguments.seed_count, "1", "the number of seeds must be a whole number from 2 .*got '1'"),
        (arguments.epochs, "0", "the number of epochs must be a whole number from 1 .*got '0'"),
        (arguments.recipe, "cifar", "a recipe must be one of digits; got 'cifar'"),
    ],
)
def test_bad_values_are_named(read: Callable[[str], Any], text: str, sentence: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=sentence):
        read(text)


def test_folders_of_this_moment_lie_under_runs() -> None:
    folder = arguments.new_folder("compare", "digits")
    assert folder.parent == Path("runs")
    assert folder.name.startswith("digits-compare-20")
