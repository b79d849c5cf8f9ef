"""BLEU written out, token by token, after Papineni et al. (2002) and multi-bleu.perl."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def statistics(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> NDArray[np.float64]:
    """A row a sentence: matches of 1 to 4 words, all of 1 to 4, own and reference length."""
    rows = []
    for hypothesis, group in zip(hypotheses, references, strict=True):
        words, others = hypothesis.split(), [reference.split() for reference in group]
        matches, totals = [], []
        for n in range(1, 5):
            own, known = ngrams(words, n), [ngrams(other, n) for other in others]
            matches.append(sum(min(c, max(k[g] for k in known)) for g, c in own.items()))
            totals.append(max(0, len(words) - n + 1))
        nearest = min((abs(len(other) - len(words)), len(other)) for other in others)[1]
        rows.append([*matches, *totals, len(words), nearest])
    return np.array(rows, np.float64)


def bleu(rows: NDArray[np.float64], smooth: bool = False) -> float:
    """BLEU from 0 to 100; smoothed, the k-th precision that is 0 is that of 1/2^k matches."""
    *counts, own, reference = rows.sum(axis=0)
    matches, totals = list(counts[:4]), counts[4:]
    if smooth and any(matches):
        halves = 1.0
        for n in range(4):
            if totals[n] and not matches[n]:
                halves /= 2
                matches[n] = halves
    if not all(matches):
        return 0.0
    mean = sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4
    return float(100 * math.exp(min(0.0, 1 - reference / own) + mean))
