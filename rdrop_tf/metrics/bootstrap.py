"""How far a BLEU score would move on other sentences of the same kind."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from rdrop_tf.metrics.references import References, reference_streams
from rdrop_tf.metrics.translation import sacrebleu_metric

# sacreBLEU's own, so that its command prints the same.
SEED, SAMPLES = 12345, 1000
# Of fewer, 2.5 % are less than one.
FEWEST_SAMPLES = 40

_SEED_VARIABLE = "SACREBLEU_SEED"


class BleuInterval(NamedTuple):
    """sacreBLEU of a text, and the ends of the 95 % interval around it."""

    score: float
    low: float
    high: float


def bleu_interval(
    hypotheses: Sequence[str],
    references: References,
    *,
    language: str,
    lowercase: bool = False,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> BleuInterval:
    """Computes sacreBLEU and its 95 % interval by bootstrap (Koehn 2004).

    As many sentences as there are are drawn with replacement, `samples` times. With m the mean of
    the BLEU scores of these, and q the quantiles of 2.5 and 97.5 %, the interval is

        m ± ½ (q_{.975} - q_{.025})

    which `sacrebleu --confidence` prints as μ. It need not be centred at the score.

    Args:
        hypotheses: A translation a sentence; it may be empty.
        references: For each sentence its translation by a human, or a list of several.
        language: The code of the language translated into.
        lowercase: Whether capitals are taken for small letters.
        samples: How often sentences are drawn, 40 or more.
        seed: Of the draws, 1 or more.

    Returns:
        The score and both ends.

    Raises:
        TypeError: If a sentence is no string.
        ValueError: If hypotheses and references do not fit, or an argument breaks its rule.
        ImportError: If sacrebleu is missing.

    Example:
    >>> hypotheses = ["The dog runs through the park."] * 9 + ["A cat sits."]
    >>> references = ["The dog ran through the park."] * 9 + ["A cat sits on the mat."]
    >>> score, low, high = bleu_interval(hypotheses, references, language="en")
    >>> low < score < high
    True
    """
    streams = reference_streams(hypotheses, references)
    if samples < FEWEST_SAMPLES:
        raise ValueError(f"samples must be {FEWEST_SAMPLES} or more; got samples={samples}")
    metric = sacrebleu_metric(language, lowercase)
    with sacrebleu_seed(seed):
        result = metric.corpus_score(list(hypotheses), streams, n_bootstrap=samples)
    # The only public way to the mean and half the width. Both are absent where all is 0.
    told = json.loads(result.format(width=12, is_json=True, signature=str(metric.get_signature())))
    mean, half = told.get("confidence_mean", 0.0), told.get("confidence_var", 0.0)
    return BleuInterval(float(result.score), mean - half, mean + half)


@contextmanager
def sacrebleu_seed(seed: int) -> Iterator[None]:
    """Sets the seed that sacreBLEU draws with, and afterwards what was set before.

    Args:
        seed: 1 or more.

    Yields:
        Nothing.

    Raises:
        ValueError: If the seed is below 1.

    Example:
    >>> with sacrebleu_seed(7):
    ...     os.environ["SACREBLEU_SEED"]
    '7'
    """
    if seed < 1:
        raise ValueError(f"seed must be 1 or more, as sacreBLEU takes 0 for none; got seed={seed}")
    before = os.environ.get(_SEED_VARIABLE)
    os.environ[_SEED_VARIABLE] = str(seed)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SEED_VARIABLE]
        else:
            os.environ[_SEED_VARIABLE] = before
