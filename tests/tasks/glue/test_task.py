"""GLUE from tsv files to figures, answers and submissions, on made-up rows."""

import json
import re
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import keras
import numpy as np
import pytest

from rdrop_tf.metrics import glue_metrics
from rdrop_tf.tasks import RunResult, evaluate, make_task, predict, train, write_submissions
from rdrop_tf.tasks.glue.task import Glue
from rdrop_tf.tasks.precision import dtype_policy
from rdrop_tf.tasks.run_folder import read_columns
from tests.tasks.glue.texts import glue_recipe

pytestmark = pytest.mark.tensorflow
hub = pytest.importorskip("keras_hub")


class Run(NamedTuple):
    path: Path
    result: RunResult


def _train(
    name: str, folder: Path, data: Path, preset: Any, *, alpha: float, **changes: Any
) -> Run:
    recipe = glue_recipe(name, data, str(preset), **changes)
    return Run(folder, train(recipe, alpha=alpha, seed=0, folder=folder))


@pytest.fixture(scope="module")
def sst2(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose data are gone."""
    folder = tmp_path_factory.mktemp("sst2")
    shutil.copytree(data, folder / "data")
    # The vocabulary of so few rows is mostly letters.
    changes = {"alpha": 1.0, "sequence_length": 48}
    run = _train("sst-2-small", folder / "run", folder / "data", "random-tiny", **changes)
    shutil.rmtree(folder / "data")
    return run


@pytest.fixture(scope="module")
def mrpc(data: Path, preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _train("mrpc-small", tmp_path_factory.mktemp("mrpc"), data, preset, alpha=1.0)


@pytest.fixture(scope="module")
def stsb(data: Path, preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _train("sts-b-small", tmp_path_factory.mktemp("stsb"), data, preset, alpha=1.0)


@pytest.fixture(scope="module")
def mnli(data: Path, preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _train("mnli-bert-base", tmp_path_factory.mktemp("mnli"), data, preset, alpha=0.0)


def _rows(path: Path, header: bool = True) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines[1 if header else 0 :]]


def _answers(run: Run, texts: list[list[str]]) -> np.ndarray:
    """Predicts raw texts with the run's preset, by KerasHub alone."""
    classifier = _from_preset(run.path / "preset")
    tokens = classifier.preprocessor.call(tuple(np.array(column) for column in texts))
    return keras.ops.convert_to_numpy(classifier(tokens))


@cache
def _from_preset(folder: Path) -> Any:
    classifier = hub.models.TextClassifier.from_preset(str(folder))
    classifier.preprocessor.build(None)
    return classifier


def _columns(path: Path, *numbers: int) -> list[list[str]]:
    return [[row[number] for row in _rows(path)] for number in numbers]


def test_mrpc_reports_what_glue_does(mrpc: Run, data: Path) -> None:
    first, second, labels = _columns(data / "MRPC" / "dev.tsv", 3, 4, 0)
    logits = _answers(mrpc, [first, second])
    expected = glue_metrics("MRPC", np.array(labels, int), logits.argmax(-1))
    figures = dict(mrpc.result.test_figures)
    loss = figures.pop("loss")
    assert figures == pytest.approx(expected, abs=1e-12)
    assert mrpc.result.test == expected["accuracy"]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert loss == pytest.approx(-log_p[np.arange(17), np.array(labels, int)].mean(), rel=1e-4)


def test_stsb_reports_what_glue_does(stsb: Run, data: Path) -> None:
    first, second, scores = _columns(data / "STS-B" / "dev.tsv", 1, 2, 3)
    found = _answers(stsb, [first, second])[:, 0]
    expected = glue_metrics("STS-B", np.array(scores, float), found)
    expected["loss"] = float(np.mean((np.array(scores, np.float32) - found) ** 2))
    assert stsb.result.test_figures == pytest.approx(expected, rel=1e-3)
    assert stsb.result.test == stsb.result.test_figures["pearson"]


def test_mnli_reports_both_sections(mnli: Run, data: Path) -> None:
    numbers = {"entailment": 0, "neutral": 1, "contradiction": 2}
    figures = mnli.result.test_figures
    for section, name in (("matched", "accuracy"), ("mismatched", "mismatched accuracy")):
        first, second, labels = _columns(data / "MNLI" / f"dev_{section}.tsv", 1, 2, 3)
        y = np.array([numbers[label] for label in labels])
        expected = glue_metrics("MNLI", y, _answers(mnli, [first, second]).argmax(-1))
        assert figures[name] == expected["accuracy"]
    assert set(figures) == {"accuracy", "loss", "mismatched accuracy", "mismatched loss"}


def test_figures_stand_in_the_runs_files(mrpc: Run) -> None:
    kept = json.loads((mrpc.path / "result.json").read_text())
    assert kept["test_figures"] == mrpc.result.test_figures
    epochs = read_columns(mrpc.path / "epochs.csv")
    assert {"val_accuracy", "val_f1", "val_loss"} <= set(epochs)
    assert epochs["kl"][0] is not None


def test_the_squared_difference_regularises_scores(stsb: Run) -> None:
    steps = read_columns(stsb.path / "steps.csv")
    kl = np.array(steps["kl"], float)
    assert kl.min() > 0
    np.testing.assert_allclose(
        np.array(steps["loss"], float),
        np.array(steps["ce"], float) + 0.5 * kl,
        rtol=1e-4,
    )


def test_evaluation_gives_the_runs_figures(mnli: Run) -> None:
    metrics, figures, _ = evaluate(mnli.path)
    assert [metric.name for metric in metrics] == ["accuracy"]
    further = {f"mismatched {name}": value for name, value in figures["last"]["mismatched"].items()}
    expected = {**figures["last"]["test"], **further}
    assert expected == pytest.approx(mnli.result.test_figures, rel=1e-5)


def test_a_run_answers_lines_when_its_data_are_gone(sst2: Run) -> None:
    lines = ["the film is good and warm", "dull", "unheard-of words !"]
    expected = _answers(sst2, [lines]).argmax(-1)
    assert list(predict(sst2.path, [f"{line}\n" for line in lines])) == [
        ["negative", "positive"][answer] for answer in expected
    ]


def test_two_sentences_stand_on_a_line(mrpc: Run, stsb: Run) -> None:
    first, second = ["the film is good", "a book"], ["the film is bad", "the book is fine"]
    lines = [f"{a}\t{b}" for a, b in zip(first, second, strict=True)]
    expected = _answers(mrpc, [first, second]).argmax(-1)
    assert list(predict(mrpc.path, lines)) == [
        ["not_equivalent", "equivalent"][answer] for answer in expected
    ]
    scores = [float(line) for line in predict(stsb.path, lines)]
    np.testing.assert_allclose(scores, _answers(stsb, [first, second])[:, 0], atol=6e-4)


def test_a_line_of_another_form_is_named(mrpc: Run) -> None:
    with pytest.raises(ValueError, match="line 2: a line must hold 2 texts"):
        list(predict(mrpc.path, ["one\ttwo", "one"]))


def test_the_checkpoint_and_the_preset_are_the_same_model(sst2: Run) -> None:
    model = keras.saving.load_model(sst2.path / "checkpoints" / "last.keras", compile=False)
    classifier = _from_preset(sst2.path / "preset")
    texts = ["the play is poor", "a fine song"]
    from_tokens = keras.ops.convert_to_numpy(model(classifier.preprocessor(texts)))
    from_texts = classifier.predict(texts, verbose=0)
    np.testing.assert_allclose(from_texts, from_tokens, rtol=1e-5, atol=1e-6)


# Data


def _task(name: str, data: Path, preset: Any = "random-tiny", **changes: Any) -> Glue:
    task = make_task(glue_recipe(name, data, preset, **changes))
    assert isinstance(task, Glue)
    return task


def _keys(part: Any) -> list[bytes]:
    return [row.tobytes() for row in part.x["token_ids"]]


def test_held_out_rows_are_none_of_the_training_rows(data: Path, preset: Path) -> None:
    """The scores of STS-B tell its rows apart."""
    splits = [_task("sts-b-small", data, str(preset), validation=0.25).splits() for _ in range(2)]
    train_rows, held_out, test = splits[0][:3]
    assert (train_rows.rows, held_out.rows, test.rows) == (30, 10, 15)
    scores = [row[3] for row in _rows(data / "STS-B" / "train.tsv")]
    together = np.concatenate([train_rows.y, held_out.y])
    np.testing.assert_allclose(np.sort(together), np.array(scores, np.float32))
    for one, other in zip(splits[0][:3], splits[1][:3], strict=True):
        np.testing.assert_array_equal(one.y, other.y)
        assert _keys(one) == _keys(other)
    other_seed = _task("sts-b-small", data, str(preset), validation=0.25, seed=1).splits()
    assert sorted(other_seed.validation.y) != sorted(held_out.y)


def test_held_out_rows_have_the_classes_in_proportion(data: Path, preset: Path) -> None:
    splits = _task("sst-2-small", data, str(preset), validation=0.2).splits()
    assert np.bincount(splits.validation.y).tolist() == [4, 4]
    assert np.bincount(splits.train.y).tolist() == [16, 16]


def test_without_a_share_the_development_part_is_chosen_by(data: Path, preset: Path) -> None:
    splits = _task("sst-2-bert-base", data, str(preset)).splits()
    assert splits.validation is splits.test
    assert (splits.train.rows, splits.test.rows) == (40, 14)


def test_training_rows_can_be_limited(data: Path, preset: Path) -> None:
    task = _task("sst-2-small", data, str(preset), rows=10, validation=0.2)
    splits = task.splits()
    assert (splits.train.rows, splits.validation.rows, splits.test.rows) == (8, 2, 14)
    # The labels alternate, as the file has them.
    assert task._training_rows.labels.tolist() == [0, 1] * 5


def test_splits_are_read_once(data: Path, preset: Path) -> None:
    task = _task("sst-2-small", data, str(preset))
    assert task.splits() is task.splits()


def test_cut_off_texts_are_counted(data: Path, preset: Path) -> None:
    """Every sentence has 6 words, and 8 tokens with the two that BERT adds."""
    task = _task("sst-2-bert-base", data, str(preset), sequence_length=7)
    with pytest.warns(UserWarning, match="fill all 7 tokens") as told:
        task.splits()
    assert [str(warning.message).partition(";")[0] for warning in told] == [
        "SST-2, train: 40 of 40 rows fill all 7 tokens",
        "SST-2, validation: 14 of 14 rows fill all 7 tokens",
    ]


def test_cut_off_texts_are_counted_in_answers_too(data: Path, preset: Path, tmp_path: Path) -> None:
    task = _task("sst-2-small", data, str(preset), sequence_length=7)
    text = r"^the given lines: 1 of 2 rows fill all 7 tokens; what is beyond them is cut off$"
    with pytest.warns(UserWarning, match=text):
        task.inputs([("yes",), ("it is a film of many words",)])
    answers_0 = mock.Mock()
    answers_0.predict.return_value = np.zeros((5, 2))
    with pytest.warns(UserWarning, match="^SST-2, test: 5 of 5 rows fill all 7 tokens"):
        task.submissions(answers_0, tmp_path)


def test_a_single_row_is_too_few(preset: Path, tmp_path: Path) -> None:
    for name in ("train", "dev"):
        (tmp_path / f"{name}.tsv").write_text("sentence\tlabel\ngood\t1\n")
    text = "must hold a row of each class .*; got validation=0.1 of 1 rows of 1 classes: use more"
    with pytest.raises(ValueError, match=text):
        _task("sst-2-small", tmp_path, str(preset), validation=0.1).splits()


def test_a_recipe_without_an_encoder_asks_for_one(data: Path) -> None:
    text = "the recipe 'mrpc-small' takes an encoder of yours: add --preset with the folder"
    with pytest.raises(ValueError, match=text):
        _task("mrpc-small", data, None).splits()


def test_ax_cannot_be_trained_on(data: Path) -> None:
    with pytest.raises(ValueError, match="AX has no labels to train on: train MNLI, and predict"):
        _task("mnli-bert-base", data, glue_task="AX")


def test_a_sequence_length_beyond_the_encoders_is_named(data: Path, preset: Path) -> None:
    with pytest.raises(ValueError, match=r"above the encoder's; got 40, .* takes 32"):
        _task("mrpc-small", data, str(preset), sequence_length=40).model()


def test_broken_lines_stop_a_strict_run(preset: Path, tmp_path: Path) -> None:
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
    rows = ["1\t2\t3\twhy ?\twhy not ?\t0", "4\t5\t6\tbroken", "7\t8\t9\twho ?\twho ?\t1"]
    (tmp_path / "QQP").mkdir()
    (tmp_path / "QQP" / "train.tsv").write_text("\n".join([header, *rows]) + "\n")
    with pytest.warns(UserWarning, match="1 lines of .*train.tsv' are left out"):
        assert len(_task("qqp-bert-base", tmp_path, str(preset)).read("train").ids) == 2
    with pytest.raises(ValueError, match=r"train\.tsv', line 3: mend the line"):
        _task("qqp-bert-base", tmp_path, str(preset), strict=True).read("train")


# Submissions


def test_a_submission_answers_every_test_row(mrpc: Run, data: Path, tmp_path: Path) -> None:
    (told,) = write_submissions(mrpc.path, tmp_path / "out")
    file = tmp_path / "out" / "MRPC.tsv"
    assert told == f"{file}: 6 rows; gluebenchmark.com wants the 1725 of its test set"
    first, second = _columns(data / "MRPC" / "test.tsv", 3, 4)
    expected = _answers(mrpc, [first, second]).argmax(-1)
    assert file.read_text() == "index\tprediction\n" + "".join(
        f"{row}\t{answer}\n" for row, answer in enumerate(expected)
    )


def test_mnli_also_answers_ax(mnli: Run, data: Path, tmp_path: Path) -> None:
    told = write_submissions(mnli.path, tmp_path)
    wanted = [
        ("MNLI-m.tsv", "MNLI/test_matched.tsv", 9796),
        ("MNLI-mm.tsv", "MNLI/test_mismatched.tsv", 9847),
        ("AX.tsv", "AX/diagnostic.tsv", 1104),
    ]
    labels = ["entailment", "neutral", "contradiction"]
    for sentence, (name, source, official) in zip(told, wanted, strict=True):
        first, second = _columns(data / source, 1, 2)
        expected = [labels[number] for number in _answers(mnli, [first, second]).argmax(-1)]
        assert [row[1] for row in _rows(tmp_path / name)] == expected
        assert sentence == (
            f"{tmp_path / name}: {len(first)} rows; "
            f"gluebenchmark.com wants the {official} of its test set"
        )


def test_without_ax_the_answers_to_mnli_stay(mnli: Run, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "MNLI", tmp_path / "data" / "MNLI")
    with pytest.warns(UserWarning, match="AX is left out: the test rows of AX must be in"):
        told = write_submissions(mnli.path, tmp_path / "out", str(tmp_path / "data"))
    assert len(told) == 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"MNLI-m.tsv", "MNLI-mm.tsv"}


def test_data_that_moved_are_named(sst2: Run, data: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="the folder of GLUE's files must exist; got"):
        write_submissions(sst2.path, tmp_path)
    assert not list(tmp_path.iterdir())
    (told,) = write_submissions(sst2.path, tmp_path, str(data))
    assert re.search(r"SST-2\.tsv: 5 rows; gluebenchmark\.com wants the 1821", told)


def test_the_preset_computes_in_the_recipes_dtype(data: Path, preset: Path, tmp_path: Path) -> None:
    recipe = glue_recipe("mrpc-small", data, str(preset))
    with dtype_policy("mixed_bfloat16"):
        model = Glue(recipe).model()
    whole = Glue(recipe).model()
    kernels = [layer for layer in model._flatten_layers() if hasattr(layer, "kernel")]
    dtypes = [layer.compute_dtype for layer in kernels]
    assert set(dtypes) == {"bfloat16", "float32"}
    assert dtypes.count("float32") == 1, "the head"
    assert model.output.dtype == "float32"
    logits = model.predict(Glue(recipe).splits().train.x, verbose=0)
    assert (logits != logits.astype("bfloat16")).any(), "more digits than half precision has"
    for half, full in zip(model.weights[:-4], whole.weights[:-4], strict=True):
        np.testing.assert_array_equal(half, full, err_msg=half.path)  # the preset's, in float32
    run = replace(recipe, dtype="mixed_bfloat16")
    result = train(run, alpha=1.0, seed=0, folder=tmp_path)
    assert evaluate(tmp_path).figures["last"]["test"]["accuracy"] == result.test
    assert list(predict(tmp_path, ["yes it is.\tit is.", "no.\tnot at all."]))
