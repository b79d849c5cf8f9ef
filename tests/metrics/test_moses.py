"""Tokens against what Moses' tokenizer.perl prints of the same lines."""

import pytest

from rdrop_tf.metrics import MOSES_LANGUAGES, moses_tokenize
from rdrop_tf.metrics import moses as module

# Line, language, output of `tokenizer.perl -l LANGUAGE` (github.com/moses-smt/mosesdecoder).
SCRIPT = [
    ("so am I.", "en", "so am I ."),
    ("See No. 5 of vol. 12, pp. 3.", "en", "See No. 5 of vol . 12 , pp. 3 ."),
    ("it costs $5,300.50, not 5,000!", "en", "it costs $ 5,300.50 , not 5,000 !"),
    ("A well-known café opens at 8 p.m.", "en", "A well-known café opens at 8 p.m ."),
    ("We waited ... and waited...", "en", "We waited ... and waited ..."),
    (
        "The U.S. won 3-2 in the 1990's.",
        "en",
        "The U.S. won 3-2 in the 1990 &apos;s .",
    ),
    (
        "He works at AT&T [since May].",
        "en",
        "He works at AT &amp; T &#91; since May &#93; .",
    ),
    (
        "A woman holds up a sign that reads 'no.'",
        "en",
        "A woman holds up a sign that reads &apos; no . &apos;",
    ),
    ("x < y & y > z | w", "en", "x &lt; y &amp; y &gt; z &#124; w"),
    ("People   walk\tacross a street.", "en", "People walk across a street ."),
    (
        "Am 3. Oktober, z.B. in Köln, ist frei.",
        "de",
        "Am 3. Oktober , z.B. in Köln , ist frei .",
    ),
    ("Sie ist die 5.", "de", "Sie ist die 5 ."),
    (
        "„Wie geht's?“, fragte Dr. Müller.",
        "de",
        "„ Wie geht &apos; s ? “ , fragte Dr. Müller .",
    ),
]


@pytest.mark.parametrize(("line", "language", "tokens"), SCRIPT)
def test_tokens_are_the_scripts(line: str, language: str, tokens: str) -> None:
    # The script may leave a blank at the end.
    assert [text.rstrip() for text in moses_tokenize([line], language)] == [tokens]


@pytest.mark.parametrize("line", ["", ".", "...", "a ...", "a .", "a b"])
def test_a_stop_that_stands_alone_is_left_alone(line: str) -> None:
    assert moses_tokenize([line], "en") == [line]


def test_a_language_has_its_own_abbreviations() -> None:
    assert moses_tokenize(["Am 3. Oktober."], "en") == ["Am 3 . Oktober ."]


@pytest.mark.parametrize("language", MOSES_LANGUAGES)
def test_all_languages_are_there(language: str) -> None:
    from sacremoses.corpus import NonbreakingPrefixes

    assert language in NonbreakingPrefixes().available_langs
    assert moses_tokenize(["a, b (c)!"], language) == ["a , b ( c ) !"]


@pytest.mark.parametrize("language", ["zh", "fi", "english", ""])
def test_other_languages_are_refused(language: str) -> None:
    with pytest.raises(ValueError, match=f"tokens are defined for cs, .*, sl; got '{language}': "):
        moses_tokenize(["a"], language)


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *, extra: str) -> None:
        raise ImportError(f"{name} of {extra}")

    monkeypatch.setattr(module, "require", missing)
    module._tokenizer.cache_clear()
    with pytest.raises(ImportError, match="sacremoses of text"):
        moses_tokenize(["a"], "en")
