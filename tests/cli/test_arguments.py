import argparse
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rdrop_tf.cli import arguments
from rdrop_tf.recipes import DIGITS, Recipe, find_recipe


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
        (arguments.rank, "8", 8),
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
        (arguments.rank, "0", "the rank must be a whole number from 1 to 1024; got '0'"),
        (arguments.recipe, "cifar", "a recipe must be one of digits, .*; got 'cifar'"),
    ],
)
def test_bad_values_are_named(read: Callable[[str], Any], text: str, sentence: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=sentence):
        read(text)


def test_folders_of_this_moment_lie_under_runs() -> None:
    folder = arguments.new_folder("compare", "digits")
    assert folder.parent == Path("runs")
    assert folder.name.startswith("digits-compare-20")


def _recipe_of(line: str) -> Recipe:
    parser = argparse.ArgumentParser()
    arguments.add_recipe(parser)
    return arguments.recipe_of(parser.parse_args(line.split()))


@pytest.mark.parametrize("name", ["digits", "mrpc-bert-base"])
def test_without_options_a_recipe_is_as_it_is(name: str) -> None:
    assert _recipe_of(name) == find_recipe(name)


def test_options_reach_the_recipe() -> None:
    digest = "Ab" * 32
    line = "mrpc-bert-base --epochs 3 --data files --strict --preset random-tiny --lora 4"
    line += f" --sha256 {digest} --dtype mixed_bfloat16"
    recipe, found = find_recipe("mrpc-bert-base"), _recipe_of(line)
    assert found == dataclasses.replace(
        recipe,
        epochs=3,
        dtype="mixed_bfloat16",
        data={**recipe.data, "folder": os.path.abspath("files"), "strict": True},
        model={**recipe.model, "preset": "random-tiny", "sha256": digest.lower(), "lora": 4},
    )


@pytest.mark.parametrize(
    ("option", "what"),
    [
        ("--data files", "data"),
        ("--strict", "data"),
        ("--preset random-tiny", "model"),
        ("--lora 4", "model"),
        (f"--sha256 {'0' * 64}", "model"),
    ],
)
def test_an_option_that_a_recipe_has_no_setting_for_is_refused(option: str, what: str) -> None:
    name = option.split()[0]
    text = (
        f"^{name} is for recipes with such a setting of their {what}; got {option}.* for 'digits'"
    )
    with pytest.raises(ValueError, match=text):
        _recipe_of(f"digits {option}")


def test_any_setting_of_a_recipe_can_be_changed() -> None:
    line = "multi30k/en-de --set batch_size=512 --set data.lower=true --set model.size=base"
    changed = _recipe_of(f"{line} --set model.changes.dropout=0.3 --set optimizer.warmup=10")
    assert (changed.batch_size, changed.data["lower"]) == (512, True)
    assert (changed.model["size"], changed.model["changes"]) == ("base", {"dropout": 0.3})
    assert changed.optimizer.warmup == 10
    assert changed.data["kind"] == find_recipe("multi30k/en-de").data["kind"]


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("data.size=3", r"got data.size, and data has buckets, character_coverage, "),
        ("batchsize=3", r"got batchsize, and 'multi30k/en-de' has alpha, average, batch_size"),
        ("batch_size.x=3", r"got batch_size.x, and batch_size has none"),
        ("batch_size=half", r'batch_size must be of the kind of .*, 2048; got "half"'),
        ("dtype=half", r"dtype must be one of float32, mixed_bfloat16, mixed_float16; got 'half'"),
        ("data.lower=1", r"data.lower must be of the kind of .*, false; got 1"),
        ("data.metric=meteor", r"data.metric must be one of sacrebleu, .*; got 'meteor'"),
        ("model.changes.depth=3", r"must be one of layers, .*, share_embeddings; got depth=3"),
        ("model.changes.heads=3", r"`heads` must divide `width`. Received: heads=3 and width=128"),
        ("model.changes.share_embeddings=some", r"must be one of 'all', 'decoder', 'none'"),
        ("data.buckets=0", r"`data.buckets` must be a whole number >= 1"),
        ("model.size=huge", r"`size` must be one of 'tiny', .* Received: size='huge'"),
        ("model.beams=0", r"`beams` must be a whole number >= 1"),
        ("model.max_length=[1]", r"`max_length` must be a whole number of tokens, or \(a, b\)"),
        ("model.min_length=[-1,2]", r"`min_length` = \(a, b\) needs a >= 0"),
        ("batch_size=true", r"batch_size must be of the kind of .*, 2048; got true"),
    ],
)
def test_settings_that_are_none(setting: str, sentence: str) -> None:
    with pytest.raises(arguments.BadUsage, match=sentence):
        _recipe_of(f"multi30k/en-de --set {setting}")


@pytest.mark.parametrize(
    ("setting", "rule"),
    [
        ("batch_size=0", "batch_size must be a whole number from 1 on; got 0"),
        ("validate_every=0", "validate_every must be a whole number from 1 on; got 0"),
        ("probe_every=0", "probe_every must be a whole number from 1 on; got 0"),
        ("average=0", "average must be a whole number from 1 on; got 0"),
        ("epochs=0", "epochs must be a whole number from 1 on; got 0"),
        ("alpha=-1", "alpha must be a number >= 0; got -1"),
        ("optimizer.learning_rate=-1", "optimizer.learning_rate must be a number > 0; got -1"),
        ("optimizer.accumulation=0", "optimizer.accumulation must be a whole .*1 on; got 0"),
        ("optimizer.clip_norm=0", "optimizer.clip_norm must be a number > 0, or null; got 0"),
        ("optimizer.beta_2=1", "optimizer.beta_2 must be a number from 0 to below 1; got 1"),
        ("data.rows=0", "data.rows must be a whole number from 1 on, or null; got 0"),
        ("data.rows=-5", "data.rows must be a whole number from 1 on, or null; got -5"),
        ("batch_size=null", "batch_size must be a whole number from 1 on; got None"),
        ("data.rows=many", "data.rows must be a whole number from 1 on, or null; got 'many'"),
        ("data.validation=1.5", "data.validation must be a share .* or a whole .*; got 1.5"),
        ("data.validation=-1", "data.validation must be a share .* or a whole .*; got -1"),
        ("data.seed=-1", "data.seed must be a whole number from 0 to 4294967295; got -1"),
        ("model.sequence_length=0", "model.sequence_length must be a whole .*6 on; got 0"),
        ("model.sequence_length=1", "model.sequence_length must be a whole .*6 on; got 1"),
        ("model.lora=0", "model.lora must be a whole number from 1 on, or null; got 0"),
    ],
)
def test_settings_out_of_range(setting: str, rule: str) -> None:
    with pytest.raises(ValueError, match=f"^{rule}: leave it out for the recipe's$"):
        _recipe_of(f"mrpc-small --set {setting}")


@pytest.mark.parametrize(
    "setting", ["data.rows=1", "data.rows=null", "data.validation=0", "data.validation=30"]
)
def test_settings_at_the_ends_of_their_range(setting: str) -> None:
    _recipe_of(f"mrpc-small --set {setting}")
    _recipe_of(f"sst-2-small --set {setting}")


@pytest.mark.parametrize("name", ["task", "name"])
def test_a_recipe_stays_what_it_is(name: str) -> None:
    text = rf"^{name} is what a recipe is, .*; got {name}=images for 'mrpc-small': choose another"
    with pytest.raises(ValueError, match=text):
        _recipe_of(f"mrpc-small --set {name}=images")


def test_moses_tokens_are_not_for_all_languages() -> None:
    with pytest.raises(arguments.BadUsage, match=r"one of sacrebleu, chrf for .*'zh'; got"):
        _recipe_of("iwslt17/en-zh --set data.metric=tokenized_bleu")


def test_a_setting_without_a_value() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"must be NAME=VALUE, .*; got 'lower'"):
        arguments.setting("lower")
