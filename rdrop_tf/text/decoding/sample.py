"""Drawing outputs by their probability."""

from collections.abc import Iterable

import numpy as np
from keras import ops
from numpy.typing import NDArray

from rdrop_tf._typing import Tensor
from rdrop_tf.text.decoding.arrays import check_source
from rdrop_tf.text.decoding.arrays import top_k as best
from rdrop_tf.text.decoding.checks import check_sampling, check_whole
from rdrop_tf.text.decoding.decoder import Decoder
from rdrop_tf.text.decoding.hypotheses import Hypotheses
from rdrop_tf.text.decoding.lengths import Length
from rdrop_tf.text.decoding.one_path import follow
from rdrop_tf.text.decoding.rules import DEFAULT_MAX_LENGTH, Rules, reach_of

# The least temperature that float32 divides by.
COLDEST = 1e-37


def sample(
    decoder: Decoder,
    source: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
    noise: Tensor | None = None,
    length_penalty: float = 1.0,
    min_length: Length = 0,
    max_length: Length = DEFAULT_MAX_LENGTH,
    no_repeat_ngram: int = 0,
    start_id: int = 1,
    end_id: int = 2,
    pad_id: int = 0,
) -> Hypotheses:
    """Draws each token by its probability.

    Formula: of the tokens that may follow, with q = softmax(logits_t / temperature) over them, the
    `top_k` of the highest q are kept; of those, q made to sum to 1, the fewest most probable ones
    whose q sum to `top_p` or more. y_t is drawn from them in proportion to q.

    What is drawn for a sentence depends on the seed, its place in `source` and its own tokens, not
    on the sentences beside it.

    Source: top-k from Fan et al. 2018, arXiv 1805.04833; top-p from Holtzman et al. 2020, arXiv
    1904.09751.

    Args:
        decoder: The model.
        source: Tokens, integers of shape (sentences, s).
        temperature: Above 0. Below 1 favours probable tokens, above 1 improbable ones.
        top_k: Number of tokens to draw from, or None for all; of equals the lowest ones.
        top_p: Share of the probability to draw from, above 0 and up to 1.
        seed: Of the draws, >= 0.
        noise: In place of the seed, `uniform_noise` of it: float32 (sentences, length), length
            being that of the longest output with its end token.
        length_penalty: Of the score, as in `beam_search`; changes no token. The score is that of
            the model as it is: temperature, `top_k` and `top_p` have no part in it.
        min_length: Number of tokens before the end token at least, or (a, b), as in `beam_search`.
        max_length: Number of tokens before the end token at most, likewise.
        no_repeat_ngram: No so many tokens in a row occur twice in an output; 0 for no such rule.
        start_id: Of the start token, which is given to the decoder first.
        end_id: Of the end token.
        pad_id: Of padding.

    Returns:
        One output a sentence: the second axis has size 1.

    Raises:
        ValueError: If an argument breaks its rule.

    Example:
    >>> import numpy as np
    >>> from keras import ops
    >>> from rdrop_tf.text.decoding import sample
    >>> class Coin:
    ...     # Token 3 or 4, one as probable as the other, then the end token 2.
    ...     def start(self, source, length):
    ...         return source[:, :1], ()
    ...
    ...     def step(self, tokens, position, constant, cache):
    ...         flips = ops.array([[0.0, 0.0, -99.0, 9.0, 9.0], [0.0, 0.0, 99.0, 0.0, 0.0]])
    ...         logits = ops.take(flips, ops.minimum(position, 1), axis=0)
    ...         return logits + ops.zeros_like(constant, "float32"), cache
    >>> heads = sample(Coin(), np.ones((1000, 1), "int32"), seed=1).tokens[:, 0, 0]
    >>> 450 < int(ops.sum(ops.cast(heads == 3, "int32"))) < 550
    True
    """
    check_sampling(temperature, top_k, top_p)
    rules = Rules(
        length_penalty,
        min_length,
        max_length,
        no_repeat_ngram,
        start_id,
        end_id,
        pad_id,
        reach_of(decoder),
    )
    source = check_source(source)
    if noise is None:
        noise = uniform_noise(seed, range(source.shape[0]), rules.length(source.shape[1]))
    draws = ops.convert_to_tensor(noise, "float32")

    def choose(logits: Tensor, position: Tensor) -> Tensor:
        return draw(logits, ops.take(draws, position, axis=1), temperature, top_k, top_p)

    return follow(decoder, source, rules, choose)


def uniform_noise(seed: int, sentences: Iterable[int], length: int) -> NDArray[np.float32]:
    """Draws numbers from 0 to below 1.

    Args:
        seed: Of the draws, >= 0.
        sentences: The places of the sentences in all there are.
        length: Numbers of each; the first ones are the same for every length.

    Returns:
        float32 (sentences, length).
    """
    check_whole("seed", seed, 0)
    rows = [np.random.default_rng([seed, i]).random(length, np.float32) for i in sentences]
    return np.stack(rows) if rows else np.zeros((0, length), np.float32)


def draw(
    logits: Tensor, uniform: Tensor, temperature: float, top_k: int | None, top_p: float
) -> Tensor:
    """Draws a class of each row: the first at which the cumulated probability exceeds `uniform`.

    Args:
        logits: float32 (rows, classes); -inf rules a class out.
        uniform: From 0 to below 1, float32 (rows,).
        temperature: What logits are divided by.
        top_k: Number of classes to draw from, or None.
        top_p: Share of the probability to draw from.

    Returns:
        int32 (rows,).
    """
    highest = ops.max(logits, axis=1, keepdims=True)
    classes, ids = logits.shape[1], None
    if top_k is not None or top_p < 1:
        logits, ids = best(logits, min(top_k or classes, classes))
    weights = ops.exp((logits - highest) / max(temperature, COLDEST))
    if top_p < 1:
        before = ops.cumsum(weights, axis=1) - weights
        kept = before < top_p * ops.sum(weights, axis=1, keepdims=True)
        # The first is always kept, whatever the sum rounds to.
        kept = ops.logical_or(kept, ops.equal(ops.arange(weights.shape[1]), 0))
        weights = ops.where(kept, weights, 0.0)
    cumulated = ops.cumsum(weights, axis=1)
    possible = weights > 0
    total = ops.max(ops.where(possible, cumulated, 0.0), axis=1, keepdims=True)
    # So that it stays below the total when float32 rounds it.
    share = ops.minimum(ops.expand_dims(uniform, 1), 1 - 2**-23)
    reached = ops.logical_and(possible, cumulated > share * total)
    place = ops.argmax(ops.cast(reached, "int32"), axis=1)
    if ids is None:
        return ops.cast(place, "int32")
    return ops.take_along_axis(ids, ops.expand_dims(place, 1), axis=1)[:, 0]
