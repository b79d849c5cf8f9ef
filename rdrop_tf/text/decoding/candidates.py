"""The continuations of beams that are worth a look."""

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.text.decoding.arrays import top_k_of_many
from rdrop_tf.text.decoding.rules import Rules


def best_of_each_row(
    logits: Tensor, history: Tensor, position: Tensor, limits: Tensor, rules: Rules, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Finds the most probable tokens that may follow each row.

    The best of all beams of a sentence are among the best of each of them, and the order within a
    row is that of its logits. So it takes one pass over the classes for the normalizer and one for
    the best logits, and log-probabilities of a few tokens only.

    Args:
        logits: float32 (rows, classes).
        history: Tokens so far, int32 (rows, length).
        position: int32 scalar.
        limits: Of each row, int32 (rows,).
        rules: What may follow.
        count: Tokens wanted of each row.

    Returns:
        (log_probabilities, ids, broken): float32 and int32 (rows, n), best first, -inf where no
        more tokens may follow; and whether no log-probabilities exist, bool (rows,).
    """
    classes = logits.shape[1]
    normalizer = ops.logsumexp(logits, axis=1)
    never = rules.never(classes)
    # Those that are ruled out among the best must leave enough others.
    spare = len(never) + (1 if rules.min_length else 0)
    choice = rules.without_repeats(logits, history, position)
    values, ids = top_k_of_many(choice, min(classes, count + spare))
    is_end = ops.equal(ids, rules.end_id)
    out = ops.logical_and(is_end, position < rules.min_length)
    for i in never:
        out = ops.logical_or(out, ops.equal(ids, i))
    values = ops.where(out, -float("inf"), values)

    forced = ops.expand_dims(ops.equal(position, limits), 1)
    first = ops.equal(ops.arange(values.shape[1]), 0)
    only_end = ops.where(first, logits[:, rules.end_id : rules.end_id + 1], -float("inf"))
    values = ops.where(forced, only_end, values)
    ids = ops.where(forced, rules.end_id, ids)

    broken = ops.logical_not(ops.isfinite(normalizer))
    values = values - ops.expand_dims(normalizer, 1)
    return ops.where(ops.expand_dims(broken, 1), -float("inf"), values), ids, broken
