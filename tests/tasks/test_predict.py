from pathlib import Path

import keras
import numpy as np
import pytest

from rdrop_tf.recipes import DIGITS
from rdrop_tf.tasks import RunResult, make_task, predict

PAPER = " ".join(["0"] * 64)


def test_lines_become_the_models_digits(trained: tuple[Path, RunResult]) -> None:
    folder, _ = trained
    test = make_task(DIGITS).splits().test
    lines = [", ".join(f"{pixel:g}" for pixel in image.ravel()) for image in test.x[:20]]
    model = keras.saving.load_model(folder / "checkpoints" / "last.keras")
    expected = model.predict(test.x[:20], verbose=0).argmax(-1)
    assert list(predict(folder, lines)) == [str(digit) for digit in expected]


def test_no_lines_no_answers(trained: tuple[Path, RunResult]) -> None:
    assert list(predict(trained[0], [])) == []


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("1 2 3", r"line 2: a line must hold 64 pixels, separated by commas or spaces; got 3 val"),
        ("", r"line 2: a line must hold 64 pixels, separated by commas or spaces; got 0 values"),
        (PAPER.replace("0", "17", 1), r"line 2: a pixel must be a number from 0 to 16; got '17'"),
        (PAPER.replace("0", "x", 1), r"line 2: a pixel must be a number from 0 to 16; got 'x'"),
    ],
)
def test_a_bad_line_is_named(line: str, text: str, trained: tuple[Path, RunResult]) -> None:
    with pytest.raises(ValueError, match=text):
        list(predict(trained[0], [PAPER, line, PAPER]))


def test_one_line_is_a_batch_too(trained: tuple[Path, RunResult]) -> None:
    (digit,) = predict(trained[0], [PAPER])
    assert np.arange(10).astype(str).tolist().count(digit) == 1
