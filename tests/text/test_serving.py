"""A translator that was written to a file, in a process that knows nothing of this package."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from rdrop_tf.tasks.translation.translator import Translator
from rdrop_tf.tasks.translation.vocabularies import Vocabularies
from rdrop_tf.text import Subwords, Transformer, export_translator

pytestmark = pytest.mark.tensorflow

LINES = ["ein Hund läuft", "zwei Hunde laufen im Park", "", "ein Mann", "Straße №5 ▁ x"]
OPTIONS = {"beams": 3, "max_length": (1.0, 5)}

LOADED = """
import json, sys
import tensorflow as tf
import tensorflow_text
served = tf.saved_model.load(sys.argv[1])
for lines in json.loads(sys.argv[2]):
    print(json.dumps([text.decode("utf-8") for text in served.serve(tf.constant(lines)).numpy()]))
"""


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    return Subwords.train(LINES * 3, 300)


def _network(subwords: Subwords) -> Transformer:
    keras.utils.set_random_seed(1)
    return Transformer(subwords.size, layers=1, width=16, hidden=16, heads=2)


def test_a_fresh_process_translates_as_the_translator_does(
    subwords: Subwords, tmp_path: Path
) -> None:
    network = _network(subwords)
    export_translator(tmp_path / "served", network, subwords, subwords, longest=24, **OPTIONS)
    batches = [LINES[:4], [LINES[1], " \u3000\t\v"]]
    out = subprocess.run(
        [sys.executable, "-c", LOADED, str(tmp_path / "served"), json.dumps(batches)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = [json.loads(line) for line in out.splitlines()]
    expected = Translator(network, Vocabularies(subwords, subwords), **OPTIONS)(LINES[:4])
    assert found == [expected, [expected[1], ""]]
    assert found[0][2] == ""
    assert all(found[0][i] for i in (0, 1, 3))


def test_what_cannot_be_served_is_refused(subwords: Subwords, tmp_path: Path) -> None:
    network = _network(subwords)
    with pytest.raises(ValueError, match=r"`longest` must be a whole number >= 2"):
        export_translator(tmp_path / "x", network, subwords, subwords, longest=1)
    with pytest.raises(ValueError, match=r"^`beams` must be a whole number >= 1"):
        export_translator(tmp_path / "x", network, subwords, subwords, beams=0)
    other = Transformer(77, layers=1, width=8, hidden=8, heads=1)
    with pytest.raises(ValueError, match=r"got a Transformer of \(77, 77\) for \(300, 300\)"):
        export_translator(tmp_path / "x", other, subwords, subwords)
    assert not (tmp_path / "x").exists()
