import gzip
import json
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sacrebleu

from rdrop_tf.cli.arriving_lines import ArrivingLines
from rdrop_tf.cli.main import main
from rdrop_tf.cli.predict import decoded
from rdrop_tf.recipes import find_recipe
from rdrop_tf.tasks import RunResult, evaluate, make_task, predict, train
from rdrop_tf.tasks.run_folder import read_columns
from rdrop_tf.tasks.translation.task import Translation
from rdrop_tf.text import Subwords
from tests.tasks.translation.toy import ROWS, WORDS, recipe, sentences

Run = tuple[Path, RunResult]


def _test_part() -> tuple[list[str], list[str]]:
    return sentences(ROWS["test_2016_flickr"], 2)


def test_it_learns_the_language(run: Run) -> None:
    assert run[1].test > 60


def test_the_figure_is_sacrebleus_of_what_predict_writes(run: Run) -> None:
    sources, references = _test_part()
    translations = list(predict(run[0], sources))
    assert sacrebleu.corpus_bleu(translations, [references]).score == pytest.approx(run[1].test)
    assert run[1].test_figures["sacrebleu"] == run[1].test
    chrf = sacrebleu.corpus_chrf(translations, [references]).score
    assert run[1].test_figures["chrf"] == pytest.approx(chrf)


def test_predict_keeps_the_order_and_the_empty_lines(run: Run) -> None:
    sources = ["eins zwei drei vier", "", "neun acht sieben sechs zehn", " \t \v", "\n"]
    alone = [next(iter(predict(run[0], [sources[i]]))) for i in (0, 2)]
    found = list(predict(run[0], sources))
    assert found == [alone[0], "", alone[1], "", ""]
    assert all(found[i] for i in (0, 2))


def test_predict_answers_what_has_come(run: Run) -> None:
    """Through a pipe, as whoever waits for each answer writes into it."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb", buffering=0) as target:
        lines = ArrivingLines(source)
        answers = predict(run[0], decoded(lines), lines.has_arrived)
        # So that what waits for more ends.
        too_late = threading.Timer(60, target.close)
        too_late.start()
        target.write(b"eins zwei drei vier\nneun a")
        first = next(answers)
        assert too_late.is_alive()
        too_late.cancel()
        assert first == "one two three four"
        target.write(b"cht sieben sechs\n\n" + b"eins zwei drei vier\n" * 64)
        assert [next(answers), next(answers)] == ["nine eight seven six", ""]
        target.write(b"acht\xff\neins\n")
        target.close()
        assert [next(answers) for _ in range(64)] == [first] * 64
        with pytest.raises(ValueError, match=r"^line 68: lines must be UTF-8; got the byte 0xff"):
            next(answers)


def test_predict_answers_the_lines_before_one_that_is_no_text(run: Run) -> None:
    answers = predict(run[0], ["eins zwei drei vier\n", "acht\udcff\n", "eins\n"])
    assert next(answers) == "one two three four"
    with pytest.raises(ValueError, match=r"^line 2: a line must be UTF-8; got something"):
        next(answers)


def test_a_translation_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Subwords, "decode", lambda *_: ["a\nb\u2028c\r\x85d"])
    assert list(predict(run[0], ["eins"])) == ["a b c  d"]


def test_predict_answers_while_lines_still_come(run: Run) -> None:
    read = 0

    def lines() -> Any:
        nonlocal read
        while True:
            read += 1
            yield "eins zwei drei vier\n"

    answers = predict(run[0], lines())
    assert next(answers)
    assert read == 64


def test_the_logs_hold_padding_tokens_traces_and_the_gradients_norm(run: Run) -> None:
    epochs, steps = read_columns(run[0] / "epochs.csv"), read_columns(run[0] / "steps.csv")
    assert all(0 < (share or 0) < 0.4 for share in epochs["padding"])
    assert all((speed or 0) > 0 for speed in epochs["tokens_per_second"])
    assert 1 <= (epochs["traces"][-1] or 0) <= 3
    assert epochs["traces"][1:] == [epochs["traces"][-1]] * 29
    norms = np.array(steps["gradient_norm"], float)
    assert (norms > 0).all()
    by_epoch = [norms[np.array(steps["epoch"]) == epoch].mean() for epoch in epochs["epoch"]]
    np.testing.assert_allclose(by_epoch, np.array(epochs["gradient_norm"], float), rtol=1e-4)
    assert all((kl or 0) > 0 for kl in epochs["kl"])


def test_tokens_a_second_are_those_of_the_text(run: Run, folder: Path) -> None:
    task = Translation(recipe(folder))
    batches = task.training_batches(0)
    subwords = task.vocabularies.target.encode(sentences(ROWS["train"], 0)[1])
    assert batches.fill(0).target_tokens == sum(map(len, subwords)) + ROWS["train"]
    assert len(batches) == task.steps_an_epoch
    labels = sum(int((batches[i][1] != 0).sum()) for i in range(len(batches)))
    assert labels == batches.fill(0).target_tokens


def test_evaluate_finds_the_same_figures_and_says_how(run: Run) -> None:
    found = evaluate(run[0])
    assert found.figures["last"]["test"] == dict(run[1].test_figures)
    assert [metric.name for metric in found.metrics] == ["sacrebleu", "tokenized_bleu", "chrf"]
    bleu, chrf, moses = found.notes
    assert bleu.startswith(f"sacrebleu {run[1].test:.2f} (95 % interval ")
    assert "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in bleu
    assert chrf.startswith("chrf ")
    assert "tok:moses-en" in moses


def test_evaluate_takes_the_data_from_elsewhere(short: Run, folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "run"
    shutil.copytree(short[0], moved)
    config = json.loads((moved / "config.json").read_text())
    config["recipe"]["data"]["folder"] = "nowhere"
    (moved / "config.json").write_text(json.dumps(config))
    found = evaluate(moved, data=str(folder))
    assert found.figures["last"]["test"] == dict(short[1].test_figures)


def test_evaluate_tests_a_run_against_another(
    run: Run, short: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run[0]), "--against", str(short[0])]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"sacrebleu {run[1].test:.2f} against {short[1].test:.2f}: difference +")
    assert "p = 0.0010 by paired bootstrap" in last


def test_files_of_two_columns(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    for name, count, seed in (("train", 300, 0), ("dev.en-de", 20, 1), ("test.de-en", 30, 2)):
        pair = sentences(count, seed)
        columns = pair[::-1] if "en-de" in name else pair
        lines = "".join(f"{a}\t{b}\n" for a, b in zip(*columns, strict=True))
        (tmp_path / "text" / f"{name}.tsv").write_text(lines, encoding="utf-8")
    found, expected = (make_task(recipe(path)).splits() for path in (tmp_path / "text", folder))
    for name in ("train", "validation", "test"):
        for own, other in zip(getattr(found, name), getattr(expected, name), strict=True):
            np.testing.assert_array_equal(own, other)


def test_vocabularies_of_the_users_own(folder: Path, run: Run, tmp_path: Path) -> None:
    def task(subwords: Any) -> Translation:
        settings = recipe(folder)
        made = make_task(replace(settings, data={**settings.data, "subwords": subwords}))
        assert isinstance(made, Translation)
        return made

    model = str(run[0] / "source.model")
    (tmp_path / "codes").write_text("#version: 0.2\ne i\nn s</w>\nei ns</w>\n")
    (tmp_path / "dict.txt").write_text("ei@@ 3\nns 2\neins 1\n")
    nmt = {"codes": str(tmp_path / "codes"), "dictionary": str(tmp_path / "dict.txt")}
    one = task(model).vocabularies
    assert (one.joint, one.source.size) == (True, 300)
    assert one.source.encode(["eins"]) == Subwords.load(model).encode(["eins"])
    two = task([nmt, model])
    assert two.model().vocabularies == (7, 300)
    two.keep(tmp_path)
    assert make_task(two.recipe, tmp_path).vocabularies.source.encode(["eins"]) == [[6]]
    for wrong in (["a"], ["a", "b", "c"], {"codes": "a"}, 7):
        with pytest.raises(ValueError, match=r"must be a file of sentencepiece, .* for source"):
            task(wrong)


def test_runs_of_other_texts_are_not_compared(run: Run, short: Run, tmp_path: Path) -> None:
    turned = tmp_path / "turned"
    shutil.copytree(short[0], turned)
    config = json.loads((turned / "config.json").read_text())
    config["recipe"]["data"] |= {"source": "en", "target": "de"}
    (turned / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"must be tested on the same examples; got .*turned"):
        evaluate(run[0], against=turned)


def test_separate_vocabularies_subword_dropout_and_small_letters(
    folder: Path, tmp_path: Path
) -> None:
    changed = recipe(folder, epochs=1, beams=2)
    data = {**changed.data, "joint": False, "vocabulary": 285, "lower": True}
    changed = replace(changed, average=1, data={**data, "subword_dropout": 0.1})
    # Of equal size, and yet two.
    network = make_task(changed).model()
    assert network.vocabularies == (285, 285)
    assert network.get_config()["share_embeddings"] == "decoder"
    train(changed, alpha=1.0, seed=0, folder=tmp_path / "run")
    assert (tmp_path / "run" / "source.model").exists()
    assert (tmp_path / "run" / "target.model").exists()
    (answer,) = predict(tmp_path / "run", ["EINS ZWEI"])
    assert answer == answer.lower()
    assert "case:lc" in evaluate(tmp_path / "run").notes[0]


def test_a_run_repeats(folder: Path, short: Run, tmp_path: Path) -> None:
    again = train(recipe(folder, epochs=1), alpha=2.0, seed=5, folder=tmp_path / "again")
    assert again.test_figures == short[1].test_figures
    logs = [
        (path / "steps.csv").read_text().splitlines() for path in (short[0], tmp_path / "again")
    ]
    losses = [[line.split(",")[4:] for line in log] for log in logs]
    assert losses[0] == losses[1]


# Bad input: a sentence each.


def _fails(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str, code: int = 1
) -> str:
    line = ["train", "multi30k/de-en", "--data", str(folder), "--out", str(tmp_path / "out")]
    assert main([*line, "--epochs", "1", *more]) == code
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 1
    return shown[0]


def test_files_of_different_length(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = _copied(folder, tmp_path)
    with gzip.open(own / "train.en.gz", "at") as file:
        file.write("one\n")
    said = _fails(own, tmp_path, capsys)
    assert "line-aligned files must have equally many lines; got 300 in" in said
    assert "and 301 in" in said


def test_an_empty_corpus(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = _copied(folder, tmp_path)
    for language in ("de", "en"):
        (own / f"train.{language}.gz").write_bytes(gzip.compress(b""))
    assert "there must be at least one pair of texts; got none" in _fails(own, tmp_path, capsys)


def test_a_vocabulary_that_the_text_does_not_support(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = _fails(folder, tmp_path, capsys)
    assert "the text must support as many subwords as are asked for" in said
    assert "got 8000: ask for fewer" in said


def test_beams_below_one(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = _fails(folder, tmp_path, capsys, "--set", "model.beams=0", code=2)
    assert said.endswith("`beams` must be a whole number >= 1. Received: beams=0")
    assert not (tmp_path / "out" / "steps.csv").exists()


def test_lengths_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is read: here nothing is there to be read."""
    for value, text in (("[1]", "or (a, b) for a · source"), ("[-1,2]", "needs a >= 0")):
        said = _fails(tmp_path, tmp_path, capsys, "--set", f"model.max_length={value}", code=2)
        assert text in said


def test_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "multi30k/de-en", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "the texts of de and en come from files of yours; got none: add --data" in said


def test_an_unknown_pair() -> None:
    with pytest.raises(ValueError, match="multi30k has recipes for the pairs en-de, de-en; got"):
        find_recipe("multi30k/en-fr")


def test_the_first_rows_alone(folder: Path) -> None:
    settings = recipe(folder)
    task = make_task(replace(settings, data={**settings.data, "rows": 50, "vocabulary": 280}))
    assert task.splits().train.rows == 50
    assert task.splits().test.rows == ROWS["test_2016_flickr"]


def test_a_pair_that_is_too_long_is_left_out_and_counted(folder: Path, tmp_path: Path) -> None:
    own = _copied(folder, tmp_path)
    for language, word in (("de", "eins"), ("en", "one")):
        with gzip.open(own / f"train.{language}.gz", "at") as file:
            file.write("\n" + " ".join([word] * 300) + "\n")
    task = make_task(recipe(own))
    with pytest.warns(UserWarning, match="kept") as said:
        task.training_batches(0)
    assert [str(warning.message) for warning in said] == [
        "train: 302 lines read, 301 pairs kept; 1 empty (train.de.gz:301)",
        "train: 301 pairs measured, 300 pairs kept; 1 longer than 256 tokens (train.de.gz:302)",
    ]
    settings = recipe(own)
    task = make_task(replace(settings, data={**settings.data, "longest": 2000}))
    with (
        pytest.warns(UserWarning, match="1 empty"),
        pytest.raises(ValueError, match=r"got train.de.gz:302 of \d+ source and \d+ target tokens"),
    ):
        task.training_batches(0)


def test_faults_of_parts_that_keep_every_line_are_said(folder: Path, tmp_path: Path) -> None:
    own = _copied(folder, tmp_path)
    for name in ("val", "test_2016_flickr"):
        path = own / f"{name}.de.gz"
        _, *lines = gzip.decompress(path.read_bytes()).split(b"\n")
        path.write_bytes(gzip.compress(b"\n".join([b"\xff", *lines])))
    with pytest.warns(UserWarning, match="kept") as said:
        make_task(recipe(own)).splits()
    assert [str(warning.message) for warning in said] == [
        "validation: 20 lines read, 20 pairs kept; 1 not UTF-8 (val.de.gz:1)",
        "test: 30 lines read, 30 pairs kept; 1 not UTF-8 (test_2016_flickr.de.gz:1)",
    ]


def test_a_source_beyond_learned_positions_is_cut_and_said(folder: Path, tmp_path: Path) -> None:
    settings = recipe(folder)
    changes = {**settings.model["changes"], "positions": "learned", "max_length": 40}
    settings = replace(settings, model={**settings.model, "changes": changes, "max_length": [1, 0]})
    task = make_task(settings)
    assert isinstance(task, Translation)
    long, model = " ".join([next(iter(WORDS))] * 100), task.model()
    with pytest.warns(UserWarning, match=r"a source may have 39 subwords, .* one has \d+"):
        list(task.answer_lines(model, [long]))
    # The recipe's maximum holds where it is the lesser one.
    assert task.translator(model, 1)._generate._rules.length(8) == 9
    changes["max_length"] = 6
    task = make_task(replace(settings, model={**settings.model, "changes": changes}))
    with pytest.raises(
        ValueError, match=r"learned positions\. Received: batches of up to \d+ tokens"
    ):
        train(task.recipe, alpha=0.0, seed=0, folder=tmp_path / "run", task=task)


def test_a_task_translates_with_the_model_that_it_is_given(folder: Path) -> None:
    """A comparison trains one after the other, and keeps none of those before."""
    task = make_task(recipe(folder))
    assert isinstance(task, Translation)
    first, second = task.model(), task.model()
    translators = [task.translator(model, beams=1) for model in (first, first, second)]
    assert translators[0] is translators[1]
    assert [t.network for t in translators] == [first, first, second]
    assert list(task._translators.values()) == [translators[2]]


def test_a_model_of_another_vocabulary_is_refused(folder: Path) -> None:
    from rdrop_tf.text import Transformer

    other = Transformer(77, layers=1, width=8, hidden=8, heads=1)
    task = make_task(recipe(folder))
    with pytest.raises(ValueError, match=r"got a Transformer of \(77, 77\) for \(300, 300\)"):
        list(task.answer_lines(other, ["eins"]))


def test_a_chinese_target_has_no_tokenized_bleu() -> None:
    task = make_task(find_recipe("iwslt17/en-zh"))
    assert [metric.name for metric in task.more_metrics] == ["chrf"]


def _copied(folder: Path, tmp_path: Path) -> Path:
    own = tmp_path / "text"
    own.mkdir()
    for path in folder.iterdir():
        (own / path.name).write_bytes(path.read_bytes())
    return own
