"""Decoding of many sentences by one compiled function."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.checks import check_choice
from rdrop_tf.text.decoding.beam_search import beam_search
from rdrop_tf.text.decoding.checks import check_whole
from rdrop_tf.text.decoding.decoder import Decoder
from rdrop_tf.text.decoding.greedy import greedy
from rdrop_tf.text.decoding.hypotheses import Hypotheses
from rdrop_tf.text.decoding.options import check_options
from rdrop_tf.text.decoding.sample import sample, uniform_noise
from rdrop_tf.text.decoding.sources import batches, check_rows, padded, token_rows

METHODS: dict[str, Callable[..., Hypotheses]] = {
    "beam_search": beam_search,
    "greedy": greedy,
    "sample": sample,
}


class Generator:
    """Decodes any number of sentences, compiled once for each shape of a batch.

    The sentences are sorted by length and cut into batches; a batch is padded to a multiple of 8
    tokens and filled up to a power of two of sentences. So few shapes occur, however many calls
    there are: each is compiled at its first (`tf.function`, `jax.jit`; Torch runs as it is). The
    result of a sentence does not depend on the others.

    Args:
        decoder: The model. If it has `variables`, their values are read at each call.
        method: "beam_search", "greedy" or "sample".
        batch_size: Sentences decoded at a time at most.
        jit_compile: Whether TensorFlow compiles with XLA. JAX always does.
        **options: Of `beam_search`, `greedy` or `sample`.

    Call arguments:
        source: Integers, (sentences, tokens) with padding after the tokens; or the tokens of each
            sentence. Every sentence needs one at least. A decoder with `vocabularies` and
            `longest`, such as a `Transformer`, gets no ids and no lengths beyond these.
        seed: Of "sample", >= 0.

    Returns:
        The outputs as NumPy arrays, in the order of the sources, as long as the longest is.

    Raises:
        TypeError: If there is no such option.
        ValueError: If an argument breaks its rule, or the decoder gives logits that are NaN.

    Example:
    >>> from keras import ops
    >>> from rdrop_tf.text.decoding import Generator
    >>> class Countdown:
    ...     # Counts down from the first token of the source to 3, then ends with 2.
    ...     def start(self, source, length):
    ...         return source[:, 0], ()
    ...
    ...     def step(self, tokens, position, constant, cache):
    ...         return 9.0 * ops.one_hot(ops.maximum(constant - position, 2), 10), cache
    >>> generate = Generator(Countdown(), "greedy")
    >>> generate([[4], [6, 9]]).tokens[:, 0].tolist()
    [[4, 3, 2, 0, 0], [6, 5, 4, 3, 2]]
    """

    def __init__(
        self,
        decoder: Decoder,
        method: str = "beam_search",
        *,
        batch_size: int = 64,
        jit_compile: bool = False,
        **options: Any,
    ) -> None:
        check_choice("method", method, list(METHODS))
        check_whole("batch_size", batch_size, 1)
        self.decoder, self.method, self.batch_size = decoder, method, batch_size
        self.options = options
        self._rules = check_options(METHODS[method], options, decoder)
        self._pad_id = self._rules.pad_id
        self._compiled = _compiled(decoder, METHODS[method], options, jit_compile)

    def __call__(
        self, source: Sequence[Sequence[int]] | NDArray[Any], *, seed: int | None = None
    ) -> Hypotheses:
        """Decodes the sentences."""
        if seed is not None and self.method != "sample":
            raise ValueError(
                f"`seed` is for method='sample'; leave it out. Received: seed={seed!r} for "
                f"method={self.method!r}"
            )
        rows = token_rows(source, self._pad_id)
        check_rows(rows, self.decoder)
        parts: list[tuple[NDArray[Any], Hypotheses]] = []
        for places in batches([len(row) for row in rows], self.batch_size):
            batch = padded([rows[i] for i in places], self._pad_id, self.decoder)
            noise = None if self.method != "sample" else self._noise(seed, places, batch)
            filling = _power_of_two(len(places)) - len(places)
            found = self._compiled(_filled(batch, filling), _filled(noise, filling))
            parts.append((places, Hypotheses(*(_numpy(x)[: len(places)] for x in found))))
        return _in_order(parts, self.options.get("n_best", 1), self._pad_id)

    def _noise(self, seed: int | None, places: NDArray[Any], batch: NDArray[Any]) -> Any:
        seed = self.options.get("seed", 0) if seed is None else seed
        return uniform_noise(seed, places, self._rules.length(batch.shape[1]))


def _compiled(
    decoder: Decoder, method: Callable[..., Hypotheses], options: dict[str, Any], jit_compile: bool
) -> Callable[[Any, Any], Hypotheses]:
    """Makes the function of (source, noise) that decodes a batch."""

    def decode(source: Tensor, noise: Tensor | None) -> Hypotheses:
        given = {} if noise is None else {"noise": noise}
        return method(decoder, source, **options, **given)

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(decode, jit_compile=jit_compile)
    if backend == "jax":
        return _jax_compiled(decoder, decode)
    import torch

    return torch.no_grad()(decode)


def _jax_compiled(decoder: Decoder, decode: Callable[..., Hypotheses]) -> Any:
    import jax

    def variables() -> list[Any]:
        return list(getattr(decoder, "variables", []))

    @jax.jit
    def with_values(values: list[Tensor], source: Tensor, noise: Tensor | None) -> Hypotheses:
        # As arguments: what a jitted function finds elsewhere is as it was at the first call.
        mapping = list(zip(variables(), values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return decode(source, noise)

    return lambda source, noise: with_values([v.value for v in variables()], source, noise)


def _filled(batch: Any, rows: int) -> Any:
    """Adds copies of the first row, which are done when it is."""
    if batch is None or not rows:
        return batch
    return np.concatenate([batch, np.repeat(batch[:1], rows, axis=0)])


def _power_of_two(rows: int) -> int:
    return 1 << (rows - 1).bit_length()


def _numpy(x: Tensor) -> NDArray[Any]:
    return np.asarray(keras.ops.convert_to_numpy(x))


def _in_order(parts: list[tuple[NDArray[Any], Hypotheses]], n_best: int, pad_id: int) -> Hypotheses:
    """Puts the outputs of batches at their sentences' places."""
    count = sum(len(places) for places, _ in parts)
    longest = max((int(found.lengths.max()) for _, found in parts), default=0)
    whole = Hypotheses(
        np.full((count, n_best, longest), pad_id, "int32"),
        np.zeros((count, n_best), "float32"),
        np.zeros((count, n_best), "int32"),
    )
    for places, found in parts:
        kept = min(longest, found.tokens.shape[2])
        whole.tokens[places, :, :kept] = found.tokens[:, :, :kept]
        whole.scores[places] = found.scores
        whole.lengths[places] = found.lengths
    broken = np.flatnonzero(np.isnan(whole.scores).any(axis=1))
    if len(broken):
        raise ValueError(
            "The decoder must give logits among which a token can be chosen: look for NaN in its "
            f"weights. Received: NaN, +inf or nothing but -inf for {len(broken)} of {count} "
            f"sources, the first of them number {broken[0]}"
        )
    return whole
