"""What a model needs in order to be decoded."""

from typing import Protocol

from rdrop_tf._typing import Nested, Tensor


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
