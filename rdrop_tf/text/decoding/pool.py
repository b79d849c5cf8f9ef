"""The hypotheses of each sentence that have ended."""

from typing import NamedTuple

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.text.decoding.arrays import pick, top_k
from rdrop_tf.text.decoding.hypotheses import Hypotheses


class Pool(NamedTuple):
    """The best so far of each sentence, best first; -inf scores mark places still free.

    Attributes:
        scores: float32 (sentences, size).
        tokens: int32 (sentences, size, length).
        lengths: int32 (sentences, size).
    """

    scores: Tensor
    tokens: Tensor
    lengths: Tensor


def empty_pool(sentences: Tensor, size: int, length: int) -> Pool:
    """Makes a pool with every place free."""
    return Pool(
        ops.full((sentences, size), -float("inf"), "float32"),
        ops.zeros((sentences, size, length), "int32"),
        ops.zeros((sentences, size), "int32"),
    )


def add(pool: Pool, scores: Tensor, tokens: Tensor, length: Tensor) -> Pool:
    """Keeps the best of the pool and of some more; among equals those that ended first.

    Args:
        pool: The pool.
        scores: Of the new ones, (sentences, n); -inf for none.
        tokens: Of the new ones, (sentences, n, length).
        length: What they all have, a scalar.

    Returns:
        A pool of the same size.
    """
    lengths = ops.zeros_like(scores, "int32") + length
    lengths = ops.concatenate([pool.lengths, lengths], axis=1)
    scores = ops.concatenate([pool.scores, scores], axis=1)
    tokens = ops.concatenate([pool.tokens, tokens], axis=1)
    best, places = top_k(scores, pool.scores.shape[1])
    return Pool(best, pick(tokens, places), pick(lengths, places))


def best_of(pool: Pool, n_best: int, pad_id: int) -> Hypotheses:
    """Returns the best of each sentence, with padding after the end."""
    scores = pool.scores[:, :n_best]
    lengths = ops.where(scores > -float("inf"), pool.lengths[:, :n_best], 0)
    tokens = pool.tokens[:, :n_best]
    inside = ops.arange(tokens.shape[2], dtype="int32") < ops.expand_dims(lengths, -1)
    return Hypotheses(ops.where(inside, tokens, pad_id), scores, lengths)
