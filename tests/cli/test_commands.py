"""Train, evaluate, predict and compare as a user runs them, on the smallest budgets."""

import io
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

from rdrop_tf.cli.main import main
from tests.tasks.glue.texts import write_data, write_preset


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "digits", "--alpha", "2", "--epochs", "2", "--out", str(folder)]) == 0
    return folder


def stdin(content: bytes) -> io.TextIOWrapper:
    """Standard input under LC_ALL=C, where Python lets wrong bytes pass as half characters."""
    return io.TextIOWrapper(io.BytesIO(content), "utf-8", errors="surrogateescape")


def test_train_says_where_and_how_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rdrop_tf.tasks.digits.Digits.about_data", lambda task: "1797 digits")
    folder = tmp_path / "run"
    assert main(["train", "digits", "--alpha", "0", "--epochs", "1", "--out", str(folder)]) == 0
    first, second, *_, last = capsys.readouterr().out.splitlines()
    assert [first, second] == [f"writing to {folder}", "1797 digits"]
    assert last.startswith("test accuracy ")
    assert last.endswith(" ms a step")


def test_evaluate_prints_both_checkpoints(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run)]) == 0
    header, last, best = capsys.readouterr().out.splitlines()
    assert header.split() == ["validation", "test"]
    assert [line.split()[:2] for line in (last, best)] == [
        ["accuracy", "last"],
        ["accuracy", "best"],
    ]
    assert {line.index("%") for line in (last, best)} == {last.index("%")}
    assert last.count(" %") == 2


def test_predict_reads_lines_and_writes_lines(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = load_digits().data[:5]
    text = "".join(",".join(f"{pixel:g}" for pixel in image) + "\n" for image in images)
    monkeypatch.setattr("sys.stdin", stdin(text.encode()))
    assert main(["predict", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert all(line in "0123456789" for line in lines)


def test_predict_names_the_bad_line(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", stdin(b"0 " * 64 + b"\n1 2\n"))
    assert main(["predict", str(run)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        "rdrop: error: line 2: a line must hold 64 pixels, separated by commas or spaces; "
        "got 2 values\n"
    )


def test_predict_names_the_line_that_is_no_utf_8(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", stdin(b"0 " * 64 + b"\ncaf\xe9\n"))
    assert main(["predict", str(run)]) == 1
    assert capsys.readouterr().err == (
        "rdrop: error: line 2: lines must be UTF-8; got the byte 0xe9 at place 4: convert them "
        "first, for example by `iconv -f latin1 -t utf-8`, if that is what they are\n"
    )


def test_a_task_without_submissions_says_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert main(["predict", str(run), "--submission", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == (
        "rdrop: error: submissions are for the data sets of GLUE; got a run of 'digits': "
        "leave --submission out and give it lines\n"
    )
    assert not (tmp_path / "out").exists()


def test_data_are_for_submissions(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(run), "--data", "files"]) == 1
    assert capsys.readouterr().err == (
        "rdrop: error: --data is for the test rows of --submission; got --data files without it: "
        "add --submission DIR, or leave --data out\n"
    )


@pytest.mark.tensorflow
def test_glue_from_the_users_files_to_a_submission(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("keras_hub")
    data = write_data(tmp_path / "data")
    preset = write_preset(tmp_path / "preset", positions=128)
    folder = tmp_path / "run"
    options = ["--data", str(data), "--preset", str(preset), "--lora", "2", "--epochs", "1"]
    assert main(["train", "sst-2-small", *options, "--alpha", "0", "--out", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("test accuracy ")

    monkeypatch.setattr("sys.stdin", None)  # which is not to be read
    target, moved = tmp_path / "out", tmp_path / "moved"
    data.rename(moved)
    line = ["predict", str(folder), "--submission", str(target)]
    assert main([*line, "--data", str(moved)]) == 0
    assert capsys.readouterr().out == (
        f"{target / 'SST-2.tsv'}: 5 rows; gluebenchmark.com wants the 1821 of its test set\n"
    )
    lines = (target / "SST-2.tsv").read_text().splitlines()
    assert lines[0] == "index\tprediction"
    assert [line.split("\t")[0] for line in lines[1:]] == list("01234")

    assert main(line) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("rdrop: error: the folder of GLUE's files must exist; got")
    assert shown.count("\n") == 1


def test_compare_ends_with_a_table_and_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rdrop_tf.tasks.digits.Digits.about_data", lambda task: "1797 digits")
    folder = tmp_path / "compare"
    line = ["compare", "digits", "--alphas", "0,2", "--seeds", "2", "--epochs", "1"]
    assert main([*line, "--out", str(folder)]) == 0
    output = capsys.readouterr().out
    assert output.count("1797 digits\n") == 1, "not again with each run"
    assert "100 %  run 4 of 4: alpha 2, seed 1, epoch 1  0:00 left" in output
    assert "digits: test accuracy in % on 1197 examples, 2 seeds, 1 epochs each" in output
    assert "with alpha 2 instead of 0, test accuracy" in output
    assert output.splitlines()[-1] == f"The learning curves are in {folder / 'plot.png'}."
    assert (folder / "plot.png").stat().st_size > 10_000


def test_a_full_folder_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "digits", "--out", str(run)]) == 1
    assert "a run needs a new or empty folder" in capsys.readouterr().err
