"""Beam search: the few most probable beginnings at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from keras import ops

from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.text.decoding.arrays import check_source, pick, top_k, write
from rdrop_tf.text.decoding.candidates import Candidates, best_candidates
from rdrop_tf.text.decoding.checks import check_beams
from rdrop_tf.text.decoding.decoder import Decoder, StagedDecoder, in_stages
from rdrop_tf.text.decoding.hypotheses import Hypotheses
from rdrop_tf.text.decoding.lengths import Length, Limits
from rdrop_tf.text.decoding.pool import Pool, add, best_of, empty_pool
from rdrop_tf.text.decoding.rules import DEFAULT_MAX_LENGTH, Rules, reach_of


def beam_search(
    decoder: Decoder,
    source: Tensor,
    *,
    beams: int = 5,
    length_penalty: float = 1.0,
    min_length: Length = 0,
    max_length: Length = DEFAULT_MAX_LENGTH,
    no_repeat_ngram: int = 0,
    n_best: int = 1,
    early_stopping: bool = True,
    start_id: int = 1,
    end_id: int = 2,
    pad_id: int = 0,
) -> Hypotheses:
    """Searches for the outputs of highest score, with some beginnings (beams) at a time.

    Formula, for an output of the tokens y_1 ... y_T whose last, y_T, is the end token:

        score(y) = (Σ_t log softmax(logits_t)[y_t]) / T^length_penalty

    as in fairseq's `SequenceGenerator`, whose steps these are, for each sentence alone:

    1. Of all beams and tokens the 2·beams of the highest sum of log-probabilities are looked at.
    2. Those that end, if they are among the first `beams`, go to a pool of the best `beams` ended
       ones and are never touched again.
    3. The first `beams` of those that do not end are the next beams.

    A sentence stops when nothing that may still come can enter its best `n_best`. For beams of
    log-probability at most s, outputs that are still to end score at most s / T^length_penalty,
    where T is the greatest length for a penalty >= 0 and the smallest for one below. It also stops,
    with `early_stopping`, when `beams` outputs have ended: as fairseq does, and what makes
    `beams=1` the same as `greedy`. Without it the search goes on up to the maximum length more
    often than not, and finds outputs of at least the same score.

    At the maximum length the end token alone may follow. Tokens that may not follow have no
    probability, and those of the others do not grow for it. Padding and start are never generated.
    Of equal scores the earlier beam and then the lower token comes first.

    Source: Ott et al. 2019, "fairseq", arXiv 1904.01038; the default maximum length is that of
    Vaswani et al. 2017, arXiv 1706.03762, section 6.1.

    Args:
        decoder: The model.
        source: Tokens, integers of shape (sentences, s). Where a length depends on the source, s
            must be known.
        beams: Number of beams.
        length_penalty: Above 0 favours long outputs, below 0 short ones; 0 for their probability.
        min_length: Number of tokens before the end token at least; or (a, b) for the whole part of
            a · n + b, where n is the number of tokens of a source that are no padding.
        max_length: Number of tokens before the end token at most, likewise. It is never below
            `min_length`; as (a, b) never beyond the positions of a decoder with a `longest`.
        no_repeat_ngram: No so many tokens in a row occur twice in an output; 0 for no such rule.
        n_best: Number of outputs of each sentence.
        early_stopping: Whether a sentence stops when `beams` outputs have ended.
        start_id: Of the start token, which is given to the decoder first.
        end_id: Of the end token.
        pad_id: Of padding.

    Returns:
        The outputs, best first.

    Raises:
        ValueError: If an argument breaks its rule.

    Example:
    >>> import numpy as np
    >>> from keras import ops
    >>> from rdrop_tf.text.decoding import beam_search
    >>> class NextToken:
    ...     # The probability of the next token (0 padding, 1 start, 2 end) after each token.
    ...     after = np.array(
    ...         [
    ...             [0.0, 0.0, 1.0, 0.0, 0.0],
    ...             [0.0, 0.0, 0.0, 0.6, 0.4],
    ...             [0.0, 0.0, 1.0, 0.0, 0.0],
    ...             [0.0, 0.0, 0.5, 0.2, 0.3],
    ...             [0.0, 0.0, 0.9, 0.1, 0.0],
    ...         ],
    ...         "float32",
    ...     )
    ...
    ...     def start(self, source, length):
    ...         return (), ()
    ...
    ...     def step(self, tokens, position, constant, cache):
    ...         return ops.log(ops.take(self.after, tokens, axis=0)), cache
    >>> found = beam_search(NextToken(), np.array([[7, 8, 9]]), beams=2, length_penalty=0.0)
    >>> [int(token) for token in found.tokens[0, 0] if token]
    [4, 2]
    >>> print(round(float(ops.exp(found.scores[0, 0])), 2))
    0.36
    """
    check_beams(beams, n_best)
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
    length = rules.length(source.shape[1])
    staged, stages = in_stages(decoder, length)
    constant, cache = staged.start(source, stages[0], beams)
    search = _Search(
        decoder=staged,
        rules=rules,
        beams=beams,
        n_best=n_best,
        early_stopping=early_stopping,
        limits=rules.limits(source),
        constant=constant,
    )
    state = search.first(ops.shape(source)[0], length)
    for i, reached in enumerate(stages):
        cache = staged.grow(cache, reached) if i else cache
        state, cache = ops.while_loop(search.is_going_on(reached), search.step, (state, cache))
    found = best_of(state.pool, n_best, pad_id)
    scores = ops.where(ops.expand_dims(state.broken, 1), float("nan"), found.scores)
    return found._replace(scores=scores)


class _State(NamedTuple):
    """Between two steps.

    Attributes:
        position: Of the tokens that the decoder is given next, int32.
        tokens: Those, int32 (sentences, beams).
        totals: Sums of log-probabilities, float32 (sentences, beams), best first; -inf where
            there is no beam.
        history: The tokens of the beams, int32 (sentences, beams, length).
        pool: What has ended.
        done: Whether a sentence has stopped, bool (sentences,).
        broken: Whether it was given logits that are no numbers, bool (sentences,).
    """

    position: Tensor
    tokens: Tensor
    totals: Tensor
    history: Tensor
    pool: Pool
    done: Tensor
    broken: Tensor


@dataclass(frozen=True)
class _Search:
    decoder: StagedDecoder
    rules: Rules
    beams: int
    n_best: int
    early_stopping: bool
    limits: Limits
    constant: Nested

    def first(self, sentences: Tensor, length: int) -> _State:
        """Has one beam, of the start token, and room for the others."""
        totals = ops.where(ops.arange(self.beams) > 0, -float("inf"), 0.0)
        zeros = ops.zeros((sentences, self.beams), "int32")
        return _State(
            position=ops.convert_to_tensor(0, "int32"),
            tokens=zeros + self.rules.start_id,
            totals=ops.cast(totals, "float32") + ops.cast(zeros, "float32"),
            history=ops.zeros((sentences, self.beams, length), "int32"),
            pool=empty_pool(sentences, self.beams, length),
            done=ops.zeros((sentences,), "bool"),
            broken=ops.zeros((sentences,), "bool"),
        )

    def is_going_on(self, reached: int) -> Callable[[_State, Nested], Tensor]:
        """Returns what tells whether another step is to be made before a position."""

        def condition(state: _State, _: Nested) -> Tensor:
            return ops.logical_and(state.position < reached, ops.logical_not(ops.all(state.done)))

        return condition

    def step(self, state: _State, cache: Nested) -> tuple[_State, Nested]:
        tokens = ops.reshape(state.tokens, (-1,))
        logits, cache = self.decoder.step(tokens, state.position, self.constant, cache)
        (totals, parents, ids), broken = self._candidates(ops.cast(logits, "float32"), state)
        is_end = ops.equal(ids, self.rules.end_id)
        pool = self._with_ended(state, totals, parents, is_end)

        totals, places = top_k(ops.where(is_end, -float("inf"), totals), self.beams)
        parents, ids = pick(parents, places), pick(ids, places)
        done = ops.logical_or(state.done, self._is_done(state.position, totals[:, 0], pool))
        state = _State(
            position=state.position + 1,
            tokens=ids,
            totals=ops.where(ops.expand_dims(done, 1), -float("inf"), totals),
            history=write(pick(state.history, parents), state.position, ids),
            pool=pool,
            done=done,
            broken=ops.logical_or(state.broken, broken),
        )
        return state, self.decoder.reorder(self.constant, cache, parents)

    def _candidates(self, logits: Tensor, state: _State) -> tuple[Candidates, Tensor]:
        classes = logits.shape[1]
        self.rules.check_classes(classes)
        return best_candidates(
            ops.reshape(logits, (-1, self.beams, classes)),
            state.totals,
            state.history,
            state.position,
            self.limits,
            self.rules,
            2 * self.beams,
        )

    def _with_ended(self, state: _State, totals: Tensor, parents: Tensor, is_end: Tensor) -> Pool:
        """Moves what ends among the first `beams` candidates to the pool."""
        totals, parents = totals[:, : self.beams], parents[:, : self.beams]
        scores = self.rules.score(totals, state.position + 1)
        scores = ops.where(is_end[:, : self.beams], scores, -float("inf"))
        ends = ops.full_like(parents, self.rules.end_id)
        tokens = write(pick(state.history, parents), state.position, ends)
        return add(state.pool, scores, tokens, state.position + 1)

    def _is_done(self, position: Tensor, best_total: Tensor, pool: Pool) -> Tensor:
        """Tells whether no beam can still give one of the best, or enough have ended."""
        if self.rules.length_penalty >= 0:
            length = self.limits.most + 1
        else:
            length = ops.maximum(position + 1, self.limits.least) + 1
        bound = self.rules.score(best_total, length)
        done = pool.scores[:, self.n_best - 1] >= bound
        if self.early_stopping:
            done = ops.logical_or(done, pool.scores[:, -1] > -float("inf"))
        return done
