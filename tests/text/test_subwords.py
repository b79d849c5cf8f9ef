import io
import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rdrop_tf.text.subwords import Subwords
from tests.text.texts import HARD, corpus, generated_texts

sentencepiece = pytest.importorskip("sentencepiece")


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def exact(request: pytest.FixtureRequest) -> Subwords:
    return Subwords.train(corpus(), 400, kind=request.param, normalization="identity")


@pytest.fixture(scope="module")
def bpe() -> Subwords:
    return Subwords.train(corpus(), 400)


def foreign(**options: Any) -> bytes:
    """Trains a model with sentencepiece's own defaults."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()),
        model_writer=model,
        vocab_size=150,
        minloglevel=2,
        **options,
    )
    return model.getvalue()


def test_any_text_comes_back(exact: Subwords) -> None:
    texts = HARD + generated_texts(3000)
    ids = exact.encode(texts)
    assert exact.decode(ids) == texts
    used = {i for row in ids for i in row}
    assert min(used) > exact.unknown_id
    assert max(used) < exact.size


@pytest.mark.parametrize("dropout", [0.1, 0.9])
def test_any_text_comes_back_with_dropout(exact: Subwords, dropout: float) -> None:
    texts = HARD + generated_texts(500, seed=1)
    assert exact.decode(exact.encode(texts, dropout=dropout, seed=3)) == texts


def test_a_line_break_is_a_character(exact: Subwords) -> None:
    assert exact.decode(exact.encode(["a\nb\r\n", "\n"])) == ["a\nb\r\n", "\n"]


def test_the_text_is_cut_into_few_known_pieces(exact: Subwords) -> None:
    rows = exact.encode(corpus())
    assert sum(map(len, rows)) < 0.6 * sum(map(len, corpus()))


def test_special_ids(exact: Subwords) -> None:
    assert (exact.pad_id, exact.start_id, exact.end_id, exact.unknown_id) == (0, 1, 2, 3)
    assert exact.size == 400


def test_normalized_text_comes_back(bpe: Subwords) -> None:
    words = ["ﬁne", "Ａｂｃ", "e\u0301te\u0301", "Straße", "½", "²", "ö\u0308"]
    text = "  " + "  ".join(words) + " "
    expected = unicodedata.normalize("NFKC", " ".join(words))
    assert bpe.decode(bpe.encode([text])) == [expected]


@pytest.mark.parametrize("normalization", ["nfkc", "nmt_nfkc", "identity"])
def test_lower_casing_is_python_s(tmp_path: Path, normalization: str) -> None:
    Subwords.train(corpus(), 400, lower=True, normalization=normalization).save(tmp_path / "v")
    subwords = Subwords.load(tmp_path / "v")
    capitals = [c for c in map(chr, range(0x21, 0x2FFF)) if c.lower() != c]
    assert len(capitals) > 900
    lines = ["Der HUND läuft ÜBERALL auf der STRAßE", *capitals]
    normal = lines
    if normalization != "identity":
        normal = [unicodedata.normalize("NFKC", line) for line in lines]
    expected = ["".join(c.lower() for c in line) for line in normal]
    assert subwords.decode(subwords.encode(lines)) == expected
    assert subwords.encode(lines) == subwords.encode(expected)


def test_training_is_deterministic_and_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    for kind in ("bpe", "unigram"):
        once, again = (
            Subwords.train(iter(corpus()), 400, kind=kind, lower=True)._segmenter.to_bytes()
            for _ in range(2)
        )
        assert once == again
    assert capfd.readouterr() == ("", "")


def test_every_line_is_trained_on() -> None:
    # sentencepiece alone leaves out lines of more than 4192 bytes and with a reserved character.
    lines = ["▁Quark ▅Quark " * 20, "Zymase " * 1000]
    subwords = Subwords.train([*lines, "a"], 285)
    assert [len(row) for row in subwords.encode(["Quark", "Zymase"])] == [1, 1]


def test_saved_and_loaded(tmp_path: Path, exact: Subwords) -> None:
    exact.save(tmp_path / "vocabulary.model")
    loaded = Subwords.load(str(tmp_path / "vocabulary.model"))
    texts = HARD + corpus()
    assert loaded.encode(texts) == exact.encode(texts)
    assert loaded.size == exact.size
    plain = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "vocabulary.model"))
    assert plain.encode(corpus()) == exact.encode(corpus())


@pytest.mark.parametrize(
    ("options", "special"),
    [
        ({}, {"<unk>": 3, "<s>": 1, "</s>": 2}),  # unknown, start, end; no padding
        ({"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}, {"<pad>": 0, "</s>": 2}),
        ({"pad_id": 3, "user_defined_symbols": "<2de>"}, {"<pad>": 0, "<unk>": 3}),
    ],
)
def test_anyone_s_model(tmp_path: Path, options: dict[str, Any], special: dict[str, int]) -> None:
    path = tmp_path / "foreign.model"
    path.write_bytes(foreign(**options))
    plain = sentencepiece.SentencePieceProcessor(model_file=str(path))
    subwords = Subwords.load(path)
    others = [i for i in range(len(plain)) if not (plain.is_control(i) or plain.is_unknown(i))]
    assert subwords.size == 4 + len(others)
    expected = {piece: 4 + place for place, piece in enumerate(others)}
    expected |= {plain.piece_to_id(piece): own for piece, own in special.items()}
    expected[plain.unk_id()] = 3
    lines = [*corpus()[:50], "日本 dog"]
    rows = subwords.encode(lines)
    assert rows == [[expected[piece] for piece in row] for row in plain.encode(lines)]
    assert 3 in rows[-1]
    assert subwords.decode(rows) == [plain.decode(row) for row in plain.encode(lines)]
    # Special ids that the model lacks are accepted and mean nothing.
    assert subwords.decode([[1, *rows[0], 2, 0, 0]]) == subwords.decode(rows[:1])
    subwords.save(tmp_path / "again.model")
    assert (tmp_path / "again.model").read_bytes() == path.read_bytes()


def test_decoding_takes_a_matrix(bpe: Subwords) -> None:
    first, second = bpe.encode(["der Hund", "a dog on the beach"])
    matrix = np.zeros((3, 30), dtype=np.int32)
    matrix[0, : len(first) + 2] = [1, *first, 2]
    matrix[0, 20:24] = second[:4]  # after the end
    matrix[1, : len(second)] = second
    assert bpe.decode(matrix) == ["der Hund", "a dog on the beach", ""]
    assert bpe.decode([]) == []
    assert bpe.decode([[]]) == [""]


@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_dropout_is_a_function_of_the_seed(exact: Subwords, dropout: float) -> None:
    lines = corpus()[:100]
    first = exact.encode(lines, dropout=dropout, seed=1)
    other = exact.encode(lines, dropout=dropout, seed=2)
    plain = exact.encode(lines)
    assert first == exact.encode(lines, dropout=dropout, seed=1)
    assert first != other
    assert first != plain
    same = exact.encode([lines[0]] * 50, dropout=0.5, seed=1)
    assert len(set(map(tuple, same))) > 1  # each line has its own draws


def test_without_a_seed_each_draw_is_another(bpe: Subwords) -> None:
    lines = corpus()[:100]
    assert bpe.encode(lines, dropout=0.3) != bpe.encode(lines, dropout=0.3)


def test_more_dropout_leaves_out_more_merges(bpe: Subwords) -> None:
    lines = corpus()
    counts = [
        sum(map(len, bpe.encode(lines, dropout=dropout, seed=0)))
        for dropout in (0.0, 0.1, 0.5, 0.99)
    ]
    assert counts == sorted(counts)
    assert counts[1] > 1.02 * counts[0]
    characters = sum(len(line) + 1 for line in lines)  # and the blank before the first
    assert counts[-1] == pytest.approx(characters, rel=0.02)


def test_unigram_dropout_flattens_the_probabilities() -> None:
    """Frequencies of segmentations against P^(1 - dropout), by enumeration."""
    subwords = Subwords.train(corpus(), 400, kind="unigram")
    processor = subwords._segmenter._processor  # type: ignore[attr-defined]
    word, dropout, draws = "parkrark", 0.5, 20000
    scores: dict[tuple[int, ...], float] = {}

    def extend(rest: str, row: tuple[int, ...], score: float) -> None:
        if not rest:
            scores[row] = score
        for end in range(1, len(rest) + 1):
            piece = processor.piece_to_id(rest[:end])
            if piece != processor.unk_id():
                extend(rest[end:], (*row, piece), score + processor.get_score(piece))

    extend("▁" + word, (), 0.0)
    weights = {row: np.exp((1 - dropout) * score) for row, score in scores.items()}
    found: dict[tuple[int, ...], int] = {}
    for row in subwords.encode([word] * draws, dropout=dropout, seed=0):
        found[tuple(row)] = found.get(tuple(row), 0) + 1
    assert set(found) <= set(weights)
    assert len(weights) > 5
    for row, weight in weights.items():
        p = weight / sum(weights.values())
        assert found.get(row, 0) / draws == pytest.approx(p, abs=5 * (p / draws) ** 0.5 + 1e-4)


def test_a_size_that_the_text_does_not_support() -> None:
    for kind in ("bpe", "unigram"):
        with pytest.raises(ValueError, match=r"supports at most (\d+); got 9000") as raised:
            Subwords.train(corpus(), 9000, kind=kind)
        largest = int(str(raised.value).split("at most ")[1].split(";")[0])
        assert Subwords.train(corpus(), largest, kind=kind).size == largest
        with pytest.raises(ValueError, match=rf"at most {largest}; got {largest + 1}: ask for"):
            Subwords.train(corpus(), largest + 1, kind=kind)


def test_a_size_that_does_not_hold_the_characters() -> None:
    characters = len({c for line in corpus() for c in line})
    least = 4 + 256 + characters
    with pytest.raises(ValueError, match=rf"characters, {least} in all; got a size of 270"):
        Subwords.train(corpus(), 270)
    assert Subwords.train(corpus(), least).size == least


@pytest.mark.parametrize("lines", [[], [""], ["  ", ""]])
def test_no_text(lines: list[str]) -> None:
    with pytest.raises(ValueError, match="at least one line of text; got none"):
        Subwords.train(lines, 300)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"size": 0}, "`size` must be a whole number >= 1. Received: size=0"),
        ({"size": 300.0}, r"Received: size=300\.0"),
        ({"kind": "word"}, "`kind` must be one of bpe, unigram. Received: kind='word'"),
        ({"normalization": "nfd"}, "one of nfkc, nmt_nfkc, identity. Received: normalization="),
        ({"character_coverage": 0.0}, r"Received: character_coverage=0\.0"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Subwords.train(corpus(), **{"size": 400, **arguments})


def test_wrong_use_is_refused(bpe: Subwords, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="must be a list of texts; got one: 'a dog'"):
        bpe.encode("a dog")
    with pytest.raises(TypeError, match="must be a list of texts; got one: 'a dog'"):
        Subwords.train("a dog", 300)
    for dropout in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"at least 0 and below 1\. Received: dropout="):
            bpe.encode(["a dog"], dropout=dropout)
    for wrong in (400, -1):
        with pytest.raises(ValueError, match=f"size 400; got {wrong}: it comes from another"):
            bpe.decode([[5, wrong]])
    (tmp_path / "wrong").write_bytes(b"nothing of the kind")
    (tmp_path / "json").write_text(json.dumps({"kind": "other"}))
    for name, text in (("wrong", "contents of a .model file"), ("json", "codes and dictionary")):
        with pytest.raises(ValueError, match=rf"{name}' holds no vocabulary: .*{text}"):
            Subwords.load(tmp_path / name)


def test_without_sentencepiece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rdrop_tf._optional.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'sentencepiece is missing: pip install "rdrop_tf'):
        Subwords.train(corpus(), 400)
