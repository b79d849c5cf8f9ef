"""Step by step with a cache a Transformer gives what it gives at once."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf.text import Transformer
from tests.text.transformers import TARGET_IDS, batch, logits_of, small


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_a_cached_step_equals_the_whole_call(norm: str, positions: str) -> None:
    model = small(norm=norm, positions=positions, encoder_layers=1, decoder_layers=2)
    inputs = _with_a_row_of_padding(batch(6, 7))
    expected = logits_of(model, inputs)
    constant, cache = model.start(inputs["source"], 9)
    for position in range(7):
        tokens = inputs["target"][:, position]
        logits, cache = model.step(tokens, ops.convert_to_tensor(position), constant, cache)
        np.testing.assert_allclose(logits, expected[:, position], rtol=0, atol=1e-5)


def test_a_cache_holds_zeros_at_first_and_sentences_come_first() -> None:
    constant, cache = small().start(batch()["source"], 4)
    assert {leaf.shape[0] for leaf in keras.tree.flatten((constant, cache))} == {3}
    assert all(not np.any(np.asarray(leaf)) for leaf in keras.tree.flatten(cache))


def test_a_cache_of_one_beam_may_be_gathered_by_rows() -> None:
    """Two beams a sentence that change places, as in a beam search."""
    model, inputs = small(decoder_layers=2), batch(6, 3)
    first, second = inputs["target"], (inputs["target"] + 4) % TARGET_IDS
    constant, cache = keras.tree.map_structure(
        lambda x: ops.repeat(x, 2, axis=0), model.start(inputs["source"], 3)
    )
    beams = np.stack([first, second], axis=1).reshape(6, 3)
    _, cache = model.step(beams[:, 0], ops.convert_to_tensor(0), constant, cache)
    swap = np.array([1, 0, 3, 2, 5, 4])
    beams[:, 0] = beams[swap, 0]
    cache = keras.tree.map_structure(lambda x: ops.take(x, swap, axis=0), cache)
    logits, _ = model.step(beams[:, 1], ops.convert_to_tensor(1), constant, cache)
    whole = {"source": np.repeat(inputs["source"], 2, axis=0), "target": beams}
    np.testing.assert_allclose(logits, logits_of(model, whole)[:, 1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_beams_go_on_from_others_in_a_cache_that_grows(positions: str) -> None:
    model, inputs = small(positions=positions, decoder_layers=2), batch(6, 3)
    rng, beams, length = np.random.default_rng(0), 3, 7
    histories = np.zeros((3, beams, 0), "int32")
    constant, cache = model.start(inputs["source"], 2, beams)
    for position in range(length):
        if position in (2, 4):
            cache = model.grow(cache, 2 * position)
        tokens = rng.integers(1, TARGET_IDS, (3, beams, 1)).astype("int32")
        histories = np.concatenate([histories, tokens], axis=2)
        flat = ops.convert_to_tensor(tokens.reshape(-1))
        logits, cache = model.step(flat, ops.convert_to_tensor(position), constant, cache)
        whole = {
            "source": np.repeat(inputs["source"], beams, axis=0),
            # One more token, which no logit before it sees: Keras warns of attention to one alone.
            "target": np.pad(histories.reshape(3 * beams, -1), [(0, 0), (0, 1)], constant_values=1),
        }
        expected = logits_of(model, whole)[:, position]
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)
        parents = rng.integers(0, beams, (3, beams)).astype("int32")
        cache = model.reorder(constant, cache, ops.convert_to_tensor(parents))
        histories = np.take_along_axis(histories, parents[:, :, None], axis=1)


def test_a_cache_grows_no_further_than_learned_positions() -> None:
    model = small(positions="learned", max_length=8)
    _, cache = model.start(batch()["source"], 4)
    with pytest.raises(ValueError, match="9"):
        model.grow(cache, 9)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_steps_run_in_a_compiled_loop(jit_compile: bool) -> None:
    model, inputs = small(positions="learned", max_length=8), batch(6, 5)

    def decode(source: Any, target: Any) -> Any:
        constant, cache = model.start(source, 5)
        logits = ops.zeros((5, 3, 13))

        def body(position: Any, logits: Any, cache: Any) -> Any:
            tokens = ops.take(target, position, axis=1)
            now, cache = model.step(tokens, position, constant, cache)
            here = ops.reshape(ops.equal(ops.arange(5), position), (5, 1, 1))
            return position + 1, ops.where(here, now, logits), cache

        start = (ops.convert_to_tensor(0, "int32"), logits, cache)
        return ops.while_loop(lambda position, *_: position < 5, body, start)[1]

    compiled = _compiled(decode, jit_compile)
    logits = np.moveaxis(np.asarray(compiled(inputs["source"], inputs["target"])), 0, 1)
    np.testing.assert_allclose(logits, logits_of(model, inputs), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_steps(dtype: str) -> None:
    model, inputs = small(dtype=dtype, positions="learned"), _with_a_row_of_padding(batch(6, 4))
    expected = logits_of(model, inputs)
    constant, cache = model.start(inputs["source"], 4)
    for position in range(4):
        tokens = inputs["target"][:, position]
        logits, cache = model.step(tokens, ops.convert_to_tensor(position), constant, cache)
        assert keras.backend.standardize_dtype(logits.dtype) == "float32"
        tolerance = 0.1 if dtype == "mixed_bfloat16" else 0.02
        np.testing.assert_allclose(logits, expected[:, position], rtol=0, atol=tolerance)
    leaves = keras.tree.flatten(cache.layers)
    dtypes = {keras.backend.standardize_dtype(leaf.dtype) for leaf in leaves}
    assert dtypes == {dtype.removeprefix("mixed_")}


def test_steps_make_no_noise() -> None:
    model: Transformer = small(dropout=0.5, attention_dropout=0.5, activation_dropout=0.5)
    inputs = batch()
    logits = []
    for _ in range(2):
        constant, cache = model.start(inputs["source"], 2)
        logits.append(model.step(inputs["target"][:, 0], 0, constant, cache)[0])
    np.testing.assert_array_equal(*logits)


def _with_a_row_of_padding(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {side: np.pad(ids, [(0, 1), (0, 0)]) for side, ids in inputs.items()}


def _compiled(function: Any, jit_compile: bool) -> Any:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=jit_compile)
    if backend == "jax" and jit_compile:
        import jax

        return jax.jit(function)
    return function
