"""Decoding that follows one beginning: each token is chosen once and stays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from keras import ops

from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.text.decoding.arrays import check_source, write
from rdrop_tf.text.decoding.decoder import Decoder, StagedDecoder, in_stages
from rdrop_tf.text.decoding.hypotheses import Hypotheses
from rdrop_tf.text.decoding.lengths import Limits
from rdrop_tf.text.decoding.rules import Rules

# Chooses tokens (sentences,) from logits (sentences, classes), -inf for those that may not follow,
# at a position.
Choose: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def follow(decoder: Decoder, source: Tensor, rules: Rules, choose: Choose) -> Hypotheses:
    """Chooses tokens until every sentence has ended.

    Args:
        decoder: The model.
        source: Tokens, integers of shape (sentences, s).
        rules: What may follow.
        choose: Chooses among what may.

    Returns:
        One output a sentence.
    """
    source = check_source(source)
    length = rules.length(source.shape[1])
    staged, stages = in_stages(decoder, length)
    constant, cache = staged.start(source, stages[0])
    path = _Path(staged, rules, choose, rules.limits(source), constant)
    sentences = ops.shape(source)[0]
    state = _State(
        position=ops.convert_to_tensor(0, "int32"),
        tokens=ops.full((sentences,), rules.start_id, "int32"),
        total=ops.zeros((sentences,), "float32"),
        history=ops.full((sentences, length), rules.pad_id, "int32"),
        length=ops.zeros((sentences,), "int32"),
        done=ops.zeros((sentences,), "bool"),
    )
    for i, reached in enumerate(stages):
        cache = staged.grow(cache, reached) if i else cache
        state, cache = ops.while_loop(path.is_going_on(reached), path.step, (state, cache))
    scores = rules.score(state.total, ops.maximum(state.length, 1))
    ended = ops.expand_dims(state.length > 0, 1)
    return Hypotheses(
        ops.expand_dims(ops.where(ended, state.history, rules.pad_id), 1),
        ops.expand_dims(scores, 1),
        ops.expand_dims(state.length, 1),
    )


class _State(NamedTuple):
    """Between two steps.

    Attributes:
        position: Of the tokens that the decoder is given next, int32.
        tokens: Those, int32 (sentences,).
        total: Sum of log-probabilities, float32 (sentences,); -inf where nothing could follow.
        history: The tokens, int32 (sentences, length).
        length: Number of tokens with the end token, 0 without an end, int32 (sentences,).
        done: Whether nothing more comes, bool (sentences,).
    """

    position: Tensor
    tokens: Tensor
    total: Tensor
    history: Tensor
    length: Tensor
    done: Tensor


@dataclass(frozen=True)
class _Path:
    decoder: StagedDecoder
    rules: Rules
    choose: Choose
    limits: Limits
    constant: Nested

    def is_going_on(self, reached: int) -> Callable[[_State, Nested], Tensor]:
        """Returns what tells whether another step is to be made before a position."""

        def condition(state: _State, _: Nested) -> Tensor:
            return ops.logical_and(state.position < reached, ops.logical_not(ops.all(state.done)))

        return condition

    def step(self, state: _State, cache: Nested) -> tuple[_State, Nested]:
        position = state.position
        logits, cache = self.decoder.step(state.tokens, position, self.constant, cache)
        logits = ops.cast(logits, "float32")
        classes = logits.shape[1]
        self.rules.check_classes(classes)
        normalizer = ops.logsumexp(logits, axis=1)
        left = self.rules.without_repeats(logits, state.history, position)
        allowed = self.rules.allowed(classes, position, self.limits)
        left = ops.where(allowed, left, -float("inf"))

        chosen = ops.cast(self.choose(left, position), "int32")
        logit = ops.take_along_axis(left, ops.expand_dims(chosen, 1), axis=1)[:, 0]
        total = state.total + (logit - normalizer)
        total = ops.where(ops.isfinite(normalizer), total, float("nan"))
        is_end = ops.equal(chosen, self.rules.end_id)
        # Without a token that may follow, -inf; without numbers, NaN: both end here.
        lost = ops.logical_not(ops.isfinite(total))
        going = ops.logical_not(state.done)
        ends = ops.logical_and(going, ops.logical_and(is_end, ops.logical_not(lost)))
        token = ops.where(going, chosen, self.rules.pad_id)
        return (
            _State(
                position=position + 1,
                tokens=token,
                total=ops.where(going, total, state.total),
                history=write(state.history, position, token),
                length=ops.where(ends, position + 1, state.length),
                done=ops.logical_or(state.done, ops.logical_or(is_end, lost)),
            ),
            cache,
        )
