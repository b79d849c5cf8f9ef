"""How good translations are: the figures that papers report, each with its signature."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rdrop_tf._optional import require
from rdrop_tf.metrics.moses import MOSES_LANGUAGES, moses_tokenize
from rdrop_tf.metrics.references import References, reference_streams

if TYPE_CHECKING:
    from sacrebleu.metrics import BLEU, CHRF


class TranslationFigure(NamedTuple):
    """A score from 0 to 100, and the signature that says how it was computed.

    Scores with equal signatures may be compared, also between papers (Post 2018).
    """

    score: float
    signature: str


def translation_figures(
    hypotheses: Sequence[str],
    references: References,
    *,
    language: str,
    lowercase: bool = False,
) -> dict[str, TranslationFigure]:
    """Computes all figures that translations are reported with.

    - "sacrebleu": BLEU with mteval-v13a's tokens, for Chinese, Japanese and Korean with
      sacreBLEU's own for the language; a precision without a match is smoothed ("exp").
    - "chrf": chrF2, the F-score of character n-grams up to 6, recall weighing double.
    - "tokenized_bleu": lower-cased BLEU of Moses' tokens, see `tokenized_bleu`; absent where
      `MOSES_LANGUAGES` lacks the language.

    Args:
        hypotheses: A translation a sentence, as plain text; it may be empty.
        references: For each sentence its translation by a human, or a list of several.
        language: The code of the language translated into, such as "de".
        lowercase: Whether sacreBLEU and chrF, too, take capitals for small letters, and all is
            lower-cased before Moses tokenizes it: for a model that learned from lower-cased text.

    Returns:
        The figures by name, case-sensitive but for the last and where `lowercase` is set.

    Raises:
        TypeError: If a sentence is no string.
        ValueError: If there is no sentence, or one without a reference, or the numbers differ.
        ImportError: If sacrebleu or sacremoses is missing.

    Example:
    >>> figures = translation_figures(
    ...     ["The dog runs through the park."], ["The dog ran through the park."], language="en"
    ... )
    >>> {name: round(figure.score, 2) for name, figure in figures.items()}
    {'sacrebleu': 48.89, 'chrf': 78.27, 'tokenized_bleu': 48.89}
    >>> figures["sacrebleu"].signature
    'nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:...'
    """
    streams = reference_streams(hypotheses, references)
    require("sacrebleu", extra="text")
    from sacrebleu.metrics import CHRF

    figures = {
        "sacrebleu": _figure(sacrebleu_metric(language, lowercase), hypotheses, streams),
        "chrf": _figure(CHRF(lowercase=lowercase), hypotheses, streams),
    }
    if language in MOSES_LANGUAGES:
        figures["tokenized_bleu"] = tokenized_bleu(
            hypotheses, references, language=language, lowercase_first=lowercase
        )
    return figures


def tokenized_bleu(
    hypotheses: Sequence[str],
    references: References,
    *,
    language: str | None,
    lowercase_first: bool = False,
) -> TranslationFigure:
    """Computes lower-cased BLEU of Moses' tokens, as papers report IWSLT14 De-En.

    It is what `tokenizer.perl | lowercase.perl | multi-bleu.perl` prints, and `fairseq-generate`
    on data prepared by these. With c_n the n-grams of the hypotheses that are in a reference of
    their sentence, each counted as often as in the reference that has it most, t_n all n-grams of
    the hypotheses, h their tokens, and r the tokens of the references, of a sentence's several
    the one nearest in length and the shorter of two:

        BLEU = 100 · min(1, exp(1 - r / h)) · (Π_{n=1..4} c_n / t_n)^{1/4}

    and 0 where a c_n is 0: nothing is smoothed.

    Args:
        hypotheses: A translation a sentence; it may be empty.
        references: For each sentence its translation by a human, or a list of several.
        language: The code of the language translated into, one of `MOSES_LANGUAGES`; None for
            lines whose tokens are set apart by blanks already.
        lowercase_first: Whether both are lower-cased before they are tokenized, not after: where
            the hypotheses have small letters only. Moses keeps a full stop on its word where a
            small letter follows, so that capitals on one side alone would cost matches.

    Returns:
        The score and its signature.

    Raises:
        TypeError: If a sentence is no string.
        ValueError: If there is no sentence, or one without a reference, or the numbers differ, or
            Moses' rules for the language are not known here.
        ImportError: If sacrebleu or sacremoses is missing.

    Example:
    >>> score, signature = tokenized_bleu(["so am i ."], ["So am I."], language="en")
    >>> score
    100.00000000000004
    >>> signature
    'nrefs:1|case:lc|eff:no|tok:moses-en|smooth:none|version:...'
    """
    streams = reference_streams(hypotheses, references)
    require("sacrebleu", extra="text")
    from sacrebleu.metrics import BLEU

    tokens = "none"
    if language is not None:
        tokens = f"{'lc-' if lowercase_first else ''}moses-{language}"
        hypotheses, *streams = (
            _tokenized(stream, language, lowercase_first) for stream in (hypotheses, *streams)
        )
    bleu = BLEU(lowercase=True, tokenize="none", smooth_method="none", force=True)
    return _figure(bleu, hypotheses, streams, tok=tokens)


def sacrebleu_metric(language: str, lowercase: bool) -> "BLEU":
    """Makes sacreBLEU's BLEU as it is by default for a language.

    Args:
        language: The code of the language translated into.
        lowercase: Whether capitals are taken for small letters.

    Returns:
        The metric of the sacrebleu package.

    Raises:
        ImportError: If sacrebleu is missing.

    Example:
    >>> sacrebleu_metric("zh", lowercase=False).tokenizer_signature
    'zh'
    """
    require("sacrebleu", extra="text")
    from sacrebleu.metrics import BLEU

    return BLEU(lowercase=lowercase, trg_lang=language)


def _tokenized(stream: Sequence[Any], language: str, lowercase_first: bool) -> list[Any]:
    """Tokenizes what is there of a stream."""
    lines = [line for line in stream if line is not None]
    tokens = iter(moses_tokenize(map(str.lower, lines) if lowercase_first else lines, language))
    return [None if line is None else next(tokens) for line in stream]


def _figure(
    metric: "BLEU | CHRF",
    hypotheses: Sequence[str],
    streams: Sequence[Sequence[str]],
    **signature_parts: str,
) -> TranslationFigure:
    score = metric.corpus_score(list(hypotheses), streams).score
    signature = metric.get_signature()
    for name, value in signature_parts.items():
        signature.update(name, value)
    return TranslationFigure(float(score), str(signature))
