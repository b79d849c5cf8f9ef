"""What a model needs in order to be decoded."""

from typing import Any, Protocol, cast

from keras import ops

from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.text.decoding.arrays import repeat_rows, take_rows

# Positions of the first stage of a decoding. Each further one has twice as many as all before.
FIRST_STAGE = 16


class Decoder(Protocol):
    """A model that gives the logits of the next token, one position after the other.

    Both functions are traced, so they call nothing but operations of the active backend (such as
    `keras.ops`). What they return for a row must depend on that row alone.

    Where it has `variables`, as every Keras layer and model does, `Generator` reads their values
    at each call; other arrays that it holds may be taken for constants.
    """

    def start(self, source: Tensor, length: int) -> tuple[Nested, Nested]:
        """Reads the sources.

        Args:
            source: Tokens, int32 of shape (sentences, s).
            length: Number of positions that there will be at most.

        Returns:
            (constant, cache): nested tensors whose first axis is that of the sentences. `constant`
            stays as it is; `cache` has room for `length` positions.
        """

    def step(
        self, tokens: Tensor, position: Tensor, constant: Nested, cache: Nested
    ) -> tuple[Tensor, Nested]:
        """Computes the logits of the tokens that may follow.

        Args:
            tokens: The token at `position` of each row, int32 of shape (rows,). Position 0 holds
                the start token.
            position: int32 scalar.
            constant: As `start` made it, with a row for each of `rows`.
            cache: As `start` or the last step made it, likewise.

        Returns:
            The logits, floats of shape (rows, classes), and the cache with this position in it:
            the same structure, shapes and dtypes.
        """


class StagedDecoder(Protocol):
    """A model whose cache knows of beams and grows: what makes a search quick.

    A step passes over its whole cache, however little of it is in use, and a cache that holds
    sentences and beams apart need not be copied when beams change places.
    """

    def start(self, source: Tensor, length: int, beams: int = 1) -> tuple[Nested, Nested]:
        """Reads the sources, as `Decoder.start`, for so many beams each.

        Returns:
            (constant, cache), nested tensors of whatever shapes.
        """

    def step(
        self, tokens: Tensor, position: Tensor, constant: Nested, cache: Nested
    ) -> tuple[Tensor, Nested]:
        """Does what `Decoder.step` does, for rows = sentences · beams, beams side by side."""

    def reorder(self, constant: Nested, cache: Nested, parents: Tensor) -> Nested:
        """Returns the cache where each beam goes on from another one of its sentence.

        Args:
            constant: As `start` made it.
            cache: As the last step made it.
            parents: The beam that each goes on from, int32 (sentences, beams).
        """

    def grow(self, cache: Nested, length: int) -> Nested:
        """Returns the cache with room for `length` positions, more than it had."""


class RowsOfADecoder:
    """Any decoder in the form of `StagedDecoder`: each beam a row of its own, one stage.

    Args:
        decoder: The model.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.step = decoder.step

    def start(self, source: Tensor, length: int, beams: int = 1) -> tuple[Nested, Nested]:
        """Repeats what the decoder makes of each source."""
        constant, cache = self._decoder.start(source, length)
        return repeat_rows(constant, beams), repeat_rows(cache, beams)

    def reorder(self, constant: Nested, cache: Nested, parents: Tensor) -> Nested:
        """Takes the rows of the parents."""
        sentences, beams = ops.shape(parents)
        starts = ops.expand_dims(ops.arange(sentences, dtype="int32") * beams, 1)
        return take_rows(cache, ops.reshape(parents + starts, (-1,)))

    def grow(self, cache: Nested, length: int) -> Nested:
        """Is never called: `in_stages` gives it one stage, whose cache has all positions."""
        raise AssertionError("a decoder of rows has one stage")


def in_stages(decoder: Any, length: int) -> tuple[StagedDecoder, list[int]]:
    """Returns a decoder in its quickest form, and how many positions its stages reach.

    Args:
        decoder: A `Decoder` or a `StagedDecoder`.
        length: Positions that there will be at most.
    """
    if not hasattr(decoder, "grow"):
        return RowsOfADecoder(decoder), [length]
    reached = [FIRST_STAGE]
    while reached[-1] < length:
        reached.append(2 * reached[-1])
    return cast(StagedDecoder, decoder), [*reached[:-1], length]
