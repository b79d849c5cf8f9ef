"""BLEU and chrF against arithmetic written out here, and against the scripts of Moses."""

import math
import re
from collections import Counter

import numpy as np
import pytest
import sacrebleu

from rdrop_tf.metrics import tokenized_bleu, translation_figures
from rdrop_tf.metrics import translation as module
from rdrop_tf.metrics.moses import moses_tokenize

from .plain_bleu import bleu, statistics
from .translation_case import PRINTED, SENTENCES

WORDS = [
    *("a", "the", "dog", "cat", "man", "runs", "sits", "red"),
    *("big", "on", "under", "and", "with", "snow", "The", "A"),
]


def generated(seed: int, sentences: int | None = None) -> tuple[list[str], list[list[str]]]:
    """Sentences of one to four references each, of which hypotheses are more or less near."""
    rng = np.random.default_rng(seed)
    hypotheses, references = [], []
    share = rng.choice([0.1, 0.3, 0.7])
    for _ in range(sentences or rng.integers(1, 20)):
        group = [list(rng.choice(WORDS, rng.integers(1, 15))) for _ in range(rng.integers(1, 4))]
        own = [rng.choice(WORDS) if rng.random() < share else word for word in group[0]]
        own = own[int(rng.integers(0, 3)) :] + own[: int(rng.integers(0, 3))]
        hypotheses.append(" ".join(own))
        references.append([" ".join(words) for words in group])
    return hypotheses, references


@pytest.mark.parametrize("seed", range(60))
def test_bleu_of_generated_sentences(seed: int) -> None:
    hypotheses, references = generated(seed)
    figures = translation_figures(hypotheses, references, language="en")
    expected = bleu(statistics(hypotheses, references), smooth=True)
    assert figures["sacrebleu"].score == pytest.approx(expected, abs=1e-9)
    lowered = [[line.lower() for line in group] for group in references]
    rows = statistics([line.lower() for line in hypotheses], lowered)
    assert figures["tokenized_bleu"].score == pytest.approx(bleu(rows), abs=1e-9)
    lower = translation_figures(hypotheses, references, language="en", lowercase=True)
    assert lower["sacrebleu"].score == pytest.approx(bleu(rows, smooth=True), abs=1e-9)


def test_the_generated_sentences_tell_the_figures_apart() -> None:
    figures = [translation_figures(*generated(seed), language="en") for seed in range(60)]
    scores = [{name: figure.score for name, figure in each.items()} for each in figures]
    assert 10 < np.median([each["sacrebleu"] for each in scores]) < 90
    assert any(each["tokenized_bleu"] == 0 < each["sacrebleu"] for each in scores)
    assert any(each["tokenized_bleu"] > each["sacrebleu"] for each in scores)


@pytest.mark.parametrize("language", SENTENCES)
@pytest.mark.parametrize("several", [False, True])
def test_tokenized_bleu_is_what_the_scripts_of_moses_print(language: str, several: bool) -> None:
    hypotheses = [row[0] for row in SENTENCES[language]]
    references = [list(row[1:]) if several else [row[1]] for row in SENTENCES[language]]
    score, signature = tokenized_bleu(hypotheses, references, language=language)
    printed = PRINTED[language][several]
    assert f"BLEU = {score:.2f}," in printed
    assert f"tok:moses-{language}|smooth:none" in signature
    assert f"nrefs:{1 + several}|case:lc" in signature

    tokens = [line.lower() for line in moses_tokenize(hypotheses, language)]
    others = [[line.lower() for line in moses_tokenize(group, language)] for group in references]
    rows = statistics(tokens, others)
    assert score == pytest.approx(bleu(rows), abs=1e-9)
    *counts, own, reference = rows.sum(axis=0)
    precisions = "/".join(f"{100 * counts[n] / counts[n + 4]:.1f}" for n in range(4))
    penalty = math.exp(min(0, 1 - reference / own))
    assert printed.endswith(
        f", {precisions} (BP={penalty:.3f}, ratio={own / reference:.3f}, "
        f"hyp_len={own:.0f}, ref_len={reference:.0f})"
    )
    # Of lines that are tokenized already it is the same.
    score_of_tokens, signature = tokenized_bleu(tokens, others, language=None)
    assert score_of_tokens == score
    assert "tok:none" in signature


def test_chrf_is_the_f_score_of_character_ngrams() -> None:
    hypotheses = ["The dog runs through a park.", "A red cat, and a dog"]
    references = ["The dog ran through the park.", "The red cat and the dog"]
    shares = []
    for n in range(1, 7):
        found, own, known = 0, 0, 0
        for pair in zip(hypotheses, references, strict=True):
            texts = [line.replace(" ", "") for line in pair]
            a, b = (Counter(t[i : i + n] for i in range(len(t) - n + 1)) for t in texts)
            found, own, known = found + (a & b).total(), own + a.total(), known + b.total()
        shares.append((found / own, found / known))
    precision, recall = np.mean(shares, axis=0)
    expected = 100 * 5 * precision * recall / (4 * precision + recall)
    score, signature = translation_figures(hypotheses, references, language="en")["chrf"]
    assert score == pytest.approx(expected, abs=1e-9)
    assert signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")


def test_signatures() -> None:
    figures = translation_figures(["a"], [["a", "b"]], language="de", lowercase=True)
    version = sacrebleu.__version__
    assert {name: figure.signature for name, figure in figures.items()} == {
        "sacrebleu": f"nrefs:2|case:lc|eff:no|tok:13a|smooth:exp|version:{version}",
        "chrf": f"nrefs:2|case:lc|eff:yes|nc:6|nw:0|space:no|version:{version}",
        "tokenized_bleu": f"nrefs:2|case:lc|eff:no|tok:lc-moses-de|smooth:none|version:{version}",
    }
    varying = translation_figures(["a", "b"], [["a", "b"], "b"], language="de")
    assert all(figure.signature.startswith("nrefs:var|") for figure in varying.values())


def test_capitals_count_unless_lowered() -> None:
    pair = ["the old man sits on a bench"], ["The old Man sits on a bench"]
    plain = translation_figures(*pair, language="en")
    lower = translation_figures(*pair, language="en", lowercase=True)
    assert plain["sacrebleu"].score < 60
    assert plain["chrf"].score < 95
    assert {name: figure.score for name, figure in lower.items()} == {
        name: pytest.approx(100) for name in ("sacrebleu", "chrf", "tokenized_bleu")
    }
    assert plain["tokenized_bleu"].score == lower["tokenized_bleu"].score


def test_a_model_of_small_letters_is_measured_by_small_letters() -> None:
    # Moses takes a stop before a small letter for an abbreviation's.
    pair = ["it rains. we stay. dr. who?"], ["It rains. We stay. Dr. Who?"]
    after = tokenized_bleu(*pair, language="en")
    first = tokenized_bleu(*pair, language="en", lowercase_first=True)
    assert after.score < 50
    assert first.score == pytest.approx(100)
    assert translation_figures(*pair, language="en", lowercase=True)["tokenized_bleu"] == first
    assert translation_figures(*pair, language="en")["tokenized_bleu"] == after


def test_several_references_count_at_their_best() -> None:
    # "the" three times, of which the second reference has two; four tokens are as near as six.
    score, _ = tokenized_bleu(
        ["the the the cat x"], [["a the b c", "the the c d e f"]], language="en"
    )
    rows = statistics(["the the the cat x"], [["a the b c", "the the c d e f"]])
    assert rows.tolist() == [[2, 1, 0, 0, 5, 4, 3, 2, 5, 4]]
    assert score == 0
    hypotheses = ["a b c d e", "a b c d e"]
    for first, other, nearest in [(4, 6, 4), (6, 4, 4), (8, 3, 3), (6, 1, 6)]:
        references = [["a b c d e"], [" ".join("abcdefgh"[:first]), " ".join("abcdefgh"[:other])]]
        expected = 100 * math.exp(min(0, 1 - (5 + nearest) / 10))
        matches = [10 - 2 * n - max(0, 5 - max(first, other)) for n in range(4)]
        for n in range(4):
            expected *= (matches[n] / (10 - 2 * n)) ** 0.25
        score, _ = tokenized_bleu(hypotheses, references, language=None)
        assert score == pytest.approx(expected, abs=1e-9)


def test_nothing_translated_scores_nothing() -> None:
    figures = translation_figures(["", ""], ["a dog", "two cats"], language="en")
    assert [figure.score for figure in figures.values()] == [0, 0, 0]


def test_an_empty_hypothesis_costs_length_only() -> None:
    kept, empty = "a man sits on a bench", "a dog"
    score, _ = tokenized_bleu([kept, ""], [kept, empty], language="en")
    assert score == pytest.approx(100 * math.exp(1 - 8 / 6), abs=1e-9)


def test_a_single_word_has_no_ngrams_of_four() -> None:
    figures = translation_figures(["dog"], ["dog"], language="en")
    assert (figures["sacrebleu"].score, figures["tokenized_bleu"].score) == (0, 0)
    assert figures["chrf"].score == pytest.approx(100)


def test_without_a_match_of_four_words_only_sacrebleu_smooths() -> None:
    pair = ["a b c x d e f"], ["a b c y d e f"]
    figures = translation_figures(*pair, language="en")
    assert figures["tokenized_bleu"].score == 0
    # 6 of 7 words, 4 of 6 pairs, 2 of 5 triples and a half of 4.
    expected = 100 * (6 / 7 * 4 / 6 * 2 / 5 * 0.5 / 4) ** 0.25
    assert figures["sacrebleu"].score == pytest.approx(expected, abs=1e-9)
    pair = ["a b x d e y g"], ["a b c d e f g"]
    # 5 of 7 words and 2 of 6 pairs; a half of 5 triples and a quarter of 4.
    expected = 100 * (5 / 7 * 2 / 6 * 0.5 / 5 * 0.25 / 4) ** 0.25
    score = translation_figures(*pair, language="en")["sacrebleu"].score
    assert score == pytest.approx(expected, abs=1e-9)


def test_chinese_is_counted_by_characters_and_not_by_moses() -> None:
    figures = translation_figures(["一只狗在雪地里跑。"], ["一只狗在雪里跑。"], language="zh")
    assert list(figures) == ["sacrebleu", "chrf"]
    assert "tok:zh" in figures["sacrebleu"].signature
    rows = statistics([" ".join("一只狗在雪地里跑。")], [[" ".join("一只狗在雪里跑。")]])
    assert figures["sacrebleu"].score == pytest.approx(bleu(rows), abs=1e-9)


def test_a_language_that_moses_does_not_know_is_named() -> None:
    with pytest.raises(ValueError, match=r"Moses' tokens are defined for .*; got 'zh': take sacre"):
        tokenized_bleu(["一"], ["一"], language="zh")


def test_files_of_different_length_are_named_by_both_counts() -> None:
    for call in (translation_figures, tokenized_bleu):
        with pytest.raises(ValueError, match=r"sentence by sentence, .*; got 2 and 3: "):
            call(["a", "b"], ["a", "b", "c"], language="en")


@pytest.mark.parametrize("call", [translation_figures, tokenized_bleu])
def test_the_missing_package_is_named(call: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *, extra: str) -> None:
        raise ImportError(f"{name} of {extra}")

    monkeypatch.setattr(module, "require", missing)
    with pytest.raises(ImportError, match=re.escape("sacrebleu of text")):
        call(["a"], ["a"], language="en")  # type: ignore[operator]
