"""The vocabularies of subword-nmt and fairseq, against subword-nmt's own command."""

import io
import random
from collections import Counter
from pathlib import Path

import pytest

from rdrop_tf.text.subwords import Subwords
from tests.text.texts import corpus

pytest.importorskip("subword_nmt")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    from subword_nmt.learn_bpe import learn_bpe

    folder = tmp_path_factory.mktemp("bpe")
    codes, dictionary = folder / "codes", folder / "dict.txt"
    with codes.open("w", encoding="utf-8") as out:
        learn_bpe(io.StringIO("\n".join(corpus())), out, 60)
    counts = Counter(token for line in reference(codes) for token in line.split())
    dictionary.write_text("".join(f"{t} {n}\n" for t, n in counts.most_common()), encoding="utf-8")
    return codes, dictionary


def reference(codes: Path) -> list[str]:
    from subword_nmt.apply_bpe import BPE

    with codes.open(encoding="utf-8") as file:
        bpe = BPE(file)
    return [bpe.process_line(line) for line in corpus()]


def test_ids_are_the_dictionary_s_lines(files: tuple[Path, Path]) -> None:
    subwords = Subwords.from_subword_nmt(*files)
    lines = files[1].read_text(encoding="utf-8").splitlines()
    place = {line.split(" ")[0]: 4 + number for number, line in enumerate(lines)}
    assert subwords.size == 4 + len(lines)
    rows = subwords.encode(corpus())
    assert rows == [[place[token] for token in line.split()] for line in reference(files[0])]
    assert any("@@" in line for line in reference(files[0]))
    assert subwords.decode(rows) == corpus()


def test_unknown_and_special_ids(files: tuple[Path, Path]) -> None:
    subwords = Subwords.from_subword_nmt(*files)
    assert subwords.encode(["Q", "", "  "]) == [[3], [], []]
    row = subwords.encode(["der Hund läuft"])[0]
    assert subwords.decode([[1, *row, 3, 2, *row], [0], []])[1:] == ["", ""]
    assert subwords.decode([[1, *row, 3, 2, *row]])[0] == "der Hund läuft <unk>".replace(
        "der", subwords.decode([subwords.encode(["der"])[0]])[0]
    )


def test_saved_and_loaded(tmp_path: Path, files: tuple[Path, Path]) -> None:
    subwords = Subwords.from_subword_nmt(*files)
    subwords.save(tmp_path / "vocabulary")
    loaded = Subwords.load(tmp_path / "vocabulary")
    assert loaded.encode(corpus()) == subwords.encode(corpus())
    assert loaded.size == subwords.size


def test_dropout(files: tuple[Path, Path]) -> None:
    subwords = Subwords.from_subword_nmt(*files)
    random.seed(5)
    expected = random.random()
    random.seed(5)
    noisy = subwords.encode(corpus(), dropout=0.5, seed=1)
    assert random.random() == expected  # the caller's generator is left alone
    assert noisy == subwords.encode(corpus(), dropout=0.5, seed=1)
    assert noisy != subwords.encode(corpus(), dropout=0.5, seed=2)
    plain = Subwords.from_subword_nmt(*files).encode(corpus())
    assert sum(map(len, noisy)) > 1.2 * sum(map(len, plain))
    # subword-nmt remembers what it drew; that must not come back without dropout.
    assert subwords.encode(corpus()) == plain


@pytest.mark.parametrize(
    ("codes", "dictionary", "text"),
    [
        ("#version: 0.2\na b\na b 7\n", "a 1\n", "two subwords with a blank.*got line 3: 'a b 7'"),
        ("a\n", "a 1\n", "got line 1: 'a'"),
        ("a b\n", "a 1\nb\n", "a token, a blank and a count; got line 2: 'b'"),
        ("a b\n", "a x\n", "got line 1: 'a x'"),
        ("a b\n", "a 1\na 2\n", "must be there once; got 'a' twice"),
    ],
)
def test_files_of_another_form(tmp_path: Path, codes: str, dictionary: str, text: str) -> None:
    (tmp_path / "codes").write_text(codes)
    (tmp_path / "dict.txt").write_text(dictionary)
    with pytest.raises(ValueError, match=text):
        Subwords.from_subword_nmt(tmp_path / "codes", tmp_path / "dict.txt")


def test_the_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "codes").write_bytes(b"a b\n")
    (tmp_path / "dict.txt").write_bytes(b"the 5\nf\xfc 5\n")
    with pytest.raises(ValueError, match=r"UTF-8; got '.*dict\.txt', which is not in line 2"):
        Subwords.from_subword_nmt(tmp_path / "codes", tmp_path / "dict.txt")


def test_it_has_no_model_of_sentencepiece(files: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match=r"vocabulary of sentencepiece is needed; got .*subword-n"):
        Subwords.from_subword_nmt(*files).sentencepiece_model()


def test_without_subword_nmt(monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]) -> None:
    monkeypatch.setattr("rdrop_tf._optional.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'subword_nmt is missing: pip install "rdrop_tf\[text'):
        Subwords.from_subword_nmt(*files)
