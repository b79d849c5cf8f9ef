"""Whether a model has ids and positions for the batches that it is given."""

from collections.abc import Sequence
from typing import Any

from rdrop_tf.text.buckets import Bucket


def check_ids(model: Any, needed: tuple[int, int]) -> None:
    """Raises where a model has fewer ids than the tokens of batches need.

    Args:
        model: A model that may say its `vocabularies`, its numbers of source and target ids.
        needed: How many ids the tokens need.

    Raises:
        ValueError: If they are more than the model's.

    Example:
    >>> from rdrop_tf.text import Transformer
    >>> check_ids(Transformer(9, layers=1, width=8, hidden=8, heads=1), (9, 8))
    """
    vocabularies = getattr(model, "vocabularies", None)
    if vocabularies is not None and (needed[0] > vocabularies[0] or needed[1] > vocabularies[1]):
        raise ValueError(
            "A model must have as many source and target ids as the batches' vocabularies. "
            f"Received: a model of {vocabularies} for {needed}; make it of the sizes of the "
            "vocabularies"
        )


def check_lengths_of(model: Any, buckets: Sequence[Bucket]) -> None:
    """Raises where batches are longer than the learned positions of a model.

    Args:
        model: A model that may say the `longest` sequence it takes.
        buckets: The shapes of the batches.

    Raises:
        ValueError: If one is longer.

    Example:
    >>> from rdrop_tf.text import Transformer
    >>> check_lengths_of(Transformer(9, layers=1, width=8, hidden=8, heads=1), [Bucket(99, 99, 1)])
    """
    longest = getattr(model, "longest", None)
    most = max(max(bucket.source_length, bucket.target_length) for bucket in buckets)
    if longest is not None and most > longest:
        raise ValueError(
            "A batch must not be longer than the model's learned positions. Received: batches of "
            f"up to {most} tokens and max_length={longest}; leave longer pairs out (a "
            "recipe's data.longest, which counts no end token), or build the model with a greater "
            "max_length or positions='sinusoidal'"
        )
