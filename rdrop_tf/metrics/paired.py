"""Whether one system translates better than another, or was only luckier."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rdrop_tf.metrics.bootstrap import SEED, sacrebleu_seed
from rdrop_tf.metrics.references import References, reference_streams
from rdrop_tf.metrics.translation import sacrebleu_metric

# sacreBLEU's own numbers of samples.
PAIRED_TESTS = {"bootstrap": ("bs", 1000), "randomization": ("ar", 10_000)}


@dataclass(frozen=True)
class TranslationComparison:
    """Two systems' sacreBLEU on the same sentences.

    `difference` is `second - first`, and `p_value` how often chance alone makes a larger one, of
    either sign.
    """

    first: float
    second: float
    difference: float
    p_value: float
    signature: str


def compare_translations(
    first: Sequence[str],
    second: Sequence[str],
    references: References,
    *,
    language: str,
    lowercase: bool = False,
    test: str = "bootstrap",
    samples: int | None = None,
    seed: int = SEED,
) -> TranslationComparison:
    """Tests the difference of two systems' sacreBLEU (sacreBLEU's paired tests).

    With d the difference of the scores and d_i that of sample i out of n:

    - "bootstrap" (Koehn 2004): a sample draws as many sentences as there are, with replacement,
      and the same for both. It counts where |d_i| - mean |d| > |d|.
    - "randomization" (Riezler and Maxwell 2005): a sample exchanges the two translations of each
      sentence with probability 1/2. It counts where |d_i| > |d|.

    The p-value is (count + 1) / (n + 1). Where d is 0 it is 1: sacreBLEU itself gives 1 / (n + 1)
    for a system against itself, which reads as if the two differed.

    Args:
        first: A translation a sentence by the system to compare with.
        second: The same sentences by the other one.
        references: For each sentence its translation by a human, or a list of several.
        language: The code of the language translated into.
        lowercase: Whether capitals are taken for small letters.
        test: "bootstrap" or "randomization".
        samples: n; None takes sacreBLEU's own, 1,000 and 10,000.
        seed: Of the draws, 1 or more.

    Returns:
        Scores, difference and p-value, with the signature that names test, samples and seed.

    Raises:
        TypeError: If a sentence is no string.
        ValueError: If hypotheses and references do not fit, or an argument breaks its rule.
        ImportError: If sacrebleu is missing.

    Example:
    >>> references = ["A man sleeps on the green grass.", "Two dogs run through the snow."] * 20
    >>> worse = ["A man sleeps on the grass.", "Two dogs are running in snow."] * 20
    >>> result = compare_translations(worse, references, references, language="en")
    >>> result.difference > 50, result.p_value < 0.05
    (True, True)
    >>> compare_translations(worse, worse, references, language="en").p_value
    1.0
    """
    if test not in PAIRED_TESTS:
        raise ValueError(f"test must be one of {', '.join(PAIRED_TESTS)}; got {test!r}")
    if samples is not None and samples < 1:
        raise ValueError(f"samples must be 1 or more; got samples={samples}")
    streams = reference_streams(first, references)
    reference_streams(second, references)
    metric = sacrebleu_metric(language, lowercase)
    from sacrebleu.significance import PairedTest

    kind, usual = PAIRED_TESTS[test]
    with sacrebleu_seed(seed), _without_notes():
        signatures, results = PairedTest(
            [("first", list(first)), ("second", list(second))],
            {"BLEU": metric},
            streams,
            test_type=kind,
            n_samples=samples or usual,
        )()
    own, other = results["BLEU"]
    difference = float(other.score - own.score)
    return TranslationComparison(
        first=float(own.score),
        second=float(other.score),
        difference=difference,
        p_value=float(other.p_value) if difference else 1.0,
        signature=str(signatures["BLEU"]),
    )


@contextmanager
def _without_notes() -> Iterator[None]:
    """Keeps from the log what sacreBLEU says about each step of a test."""
    logger = logging.getLogger("sacrebleu")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
