"""Greedy decoding."""

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.text.decoding.decoder import Decoder
from rdrop_tf.text.decoding.hypotheses import Hypotheses
from rdrop_tf.text.decoding.lengths import Length
from rdrop_tf.text.decoding.one_path import follow
from rdrop_tf.text.decoding.rules import DEFAULT_MAX_LENGTH, Rules, reach_of


def greedy(
    decoder: Decoder,
    source: Tensor,
    *,
    length_penalty: float = 1.0,
    min_length: Length = 0,
    max_length: Length = DEFAULT_MAX_LENGTH,
    no_repeat_ngram: int = 0,
    start_id: int = 1,
    end_id: int = 2,
    pad_id: int = 0,
) -> Hypotheses:
    """Takes the most probable token at each position.

    Formula: y_t = argmax_c logits_t[c] over the tokens that may follow, of equals the lowest, up
    to the end token. The same as `beam_search` with one beam, for less work.

    Args:
        decoder: The model.
        source: Tokens, integers of shape (sentences, s).
        length_penalty: Of the score, as in `beam_search`; changes no token.
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
    >>> from rdrop_tf.text.decoding import greedy
    >>> class Countdown:
    ...     # Counts down from the first token of the source to 3, then ends with 2.
    ...     def start(self, source, length):
    ...         return source[:, 0], ()
    ...
    ...     def step(self, tokens, position, constant, cache):
    ...         return 9.0 * ops.one_hot(ops.maximum(constant - position, 2), 10), cache
    >>> found = greedy(Countdown(), np.array([[6], [4]]))
    >>> [[int(token) for token in tokens if token] for tokens in found.tokens[:, 0]]
    [[6, 5, 4, 3, 2], [4, 3, 2]]
    """
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
    return follow(decoder, source, rules, lambda logits, position: ops.argmax(logits, axis=1))
