"""The continuations of a sentence's beams that are worth a look."""

from typing import NamedTuple

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.text.decoding.arrays import pick, sums, top_k, top_k_of_sums
from rdrop_tf.text.decoding.lengths import Limits
from rdrop_tf.text.decoding.rules import Rules


class Candidates(NamedTuple):
    """The best continuations of each sentence, best first.

    Attributes:
        totals: Sums of log-probabilities, float32 (sentences, n); -inf where no more may follow.
        parents: The beams that they go on from, int32 (sentences, n).
        ids: Their tokens, int32 (sentences, n).
    """

    totals: Tensor
    parents: Tensor
    ids: Tensor


def best_candidates(
    logits: Tensor,
    totals: Tensor,
    history: Tensor,
    position: Tensor,
    limits: Limits,
    rules: Rules,
    count: int,
) -> tuple[Candidates, Tensor]:
    """Finds the most probable tokens that may follow the beams of each sentence.

    The order within a beam is that of its logits, and its total and its normalizer are the same
    for all of them. So it takes one pass over the classes for the normalizers, one for the
    best logits, and sums of a few tokens only.

    Args:
        logits: float32 (sentences, beams, classes).
        totals: Of the beams, float32 (sentences, beams); -inf where there is none.
        history: Their tokens so far, int32 (sentences, beams, length).
        position: int32 scalar.
        limits: How many tokens each sentence may get.
        rules: What may follow.
        count: Tokens wanted of each sentence.

    Returns:
        The candidates, and whether a beam of a sentence has no log-probabilities, bool
        (sentences,).
    """
    beams, classes = logits.shape[1:]
    normalizers = ops.logsumexp(logits, axis=2)
    none = ops.equal(totals, -float("inf"))
    broken = ops.logical_not(ops.logical_or(none, ops.isfinite(normalizers)))
    totals = ops.where(broken, -float("inf"), totals)

    rows = (ops.reshape(logits, (-1, classes)), ops.reshape(history, (-1, history.shape[2])))
    choice = ops.reshape(rules.without_repeats(*rows, position), (-1, beams, classes))
    never = rules.never(classes)
    # Those that are ruled out among the best must leave enough others.
    spare = beams * (len(never) + (1 if rules.min_length else 0))
    several = min(beams * classes, count + spare)
    values, parents, ids = top_k_of_sums(choice, normalizers, totals, several)
    is_end = ops.equal(ids, rules.end_id)
    out = ops.logical_and(is_end, ops.expand_dims(position < limits.least, 1))
    for i in never:
        out = ops.logical_or(out, ops.equal(ids, i))
    found = Candidates(ops.where(out, -float("inf"), values), parents, ids)

    forced = ops.expand_dims(ops.equal(position, limits.most), 1)
    end = rules.end_id
    ends = sums(logits[:, :, end : end + 1], normalizers, totals)[:, :, 0]
    found = _only_ends(found, forced, ends, end)
    best, places = top_k(found.totals, min(count, found.totals.shape[1]))
    best_found = Candidates(best, pick(found.parents, places), pick(found.ids, places))
    return best_found, ops.any(broken, axis=1)


def _only_ends(found: Candidates, forced: Tensor, ends: Tensor, end_id: int) -> Candidates:
    """Puts the end of each beam in the place of all candidates where it is forced."""
    beams, places = ends.shape[1], found.totals.shape[1]
    filling = [(0, 0), (0, places - beams)]
    ends = ops.pad(ends, filling, constant_values=-float("inf"))
    numbers = ops.minimum(ops.arange(places, dtype="int32"), beams - 1)
    return Candidates(
        ops.where(forced, ends, found.totals),
        ops.where(forced, numbers, found.parents),
        ops.where(forced, end_id, found.ids),
    )
