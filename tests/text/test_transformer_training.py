"""RDropModel on a Transformer."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf import RDropModel
from rdrop_tf.text import TokenBatches
from tests.text.transformers import SOURCE_IDS, batch, small

SPARSE = keras.losses.SparseCategoricalCrossentropy


def labels() -> np.ndarray:
    """The next tokens of the targets of `batch`."""
    target = batch()["target"]
    return np.where(target != 0, np.roll(target, -1, axis=1) % (SOURCE_IDS - 1) + 1, 0)


class AllLogits(keras.layers.Layer):
    """Projects as a head does, but is none."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        self.head, self.supports_masking = head, True

    def call(self, hidden: Any) -> Any:
        return self.head.projection().logits(hidden)


def _making_all_logits(model: keras.Model) -> keras.Model:
    """The same layers, with an end that nothing recognises."""
    head = model.get_layer("logits")
    hidden = head._inbound_nodes[0].arguments.args[0]
    return keras.Model(model.input, AllLogits(head)(hidden))


def one_layer(**options: Any) -> Any:
    """A Transformer of one layer a side: what is compiled is short."""
    return small(encoder_layers=1, **options)


def trained(model: keras.Model, weights_of: keras.Model, **options: Any) -> Any:
    """Trains two steps; returns the logs and what became of the weights."""
    jit = options.pop("jit_compile", False)
    rdrop = RDropModel(model, alpha=5.0, **options)
    rdrop.compile(keras.optimizers.SGD(0.05), SPARSE(from_logits=True), jit_compile=jit)
    weight = (batch()["target"] != 0).astype("float32")
    history = rdrop.fit(batch(), labels(), sample_weight=weight, batch_size=3, epochs=2, verbose=0)
    return history.history, weights_of.get_weights()


@pytest.mark.parametrize("forward", ["two_calls", "auto"])
def test_two_steps_train(forward: str) -> None:
    model = one_layer(dropout=0.2, attention_dropout=0.1, activation_dropout=0.1)
    before = model.get_weights()
    logs, after = trained(model, model, forward=forward)
    assert min(logs["kl"]) > 0
    assert logs["loss"] == pytest.approx(
        [ce + 2.5 * kl for ce, kl in zip(logs["ce"], logs["kl"], strict=True)], rel=1e-5
    )
    assert all(np.any(a != b) for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("share_embeddings", ["all", "none"])
def test_the_head_is_known_and_trains_as_with_all_logits(
    share_embeddings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rdrop_tf.losses import linear_head

    calls: list[int] = []
    original = linear_head.linear_terms

    def counted(hidden: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(int(hidden.shape[0]))
        return original(hidden, *args, **kwargs)

    monkeypatch.setattr(linear_head, "linear_terms", counted)
    results = []
    for plain in (True, False):
        keras.utils.set_random_seed(0)
        model = one_layer(dropout=0.2, share_embeddings=share_embeddings)
        keras.utils.set_random_seed(0)
        results.append(trained(_making_all_logits(model) if plain else model, model))
        assert bool(calls) is not plain
    (logs, weights), (same_logs, same_weights) = results
    for name, values in logs.items():
        np.testing.assert_allclose(same_logs[name], values, rtol=2e-5)
    for a, b in zip(weights, same_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_rows_of_padding_have_finite_gradients_and_change_nothing(dtype: str) -> None:
    model = small(dropout=0.0, attention_dropout=0.0, dtype=dtype)
    inputs = batch()
    filled = {side: np.pad(ids, [(0, 2), (0, 0)]) for side, ids in inputs.items()}
    plain = _gradients(model, inputs, labels())
    with_fill = _gradients(model, filled, np.pad(labels(), [(0, 2), (0, 0)]))
    assert all(np.isfinite(g).all() for g in with_fill)
    tolerance = 1e-5 if dtype == "float32" else 0.05
    for a, b in zip(plain, with_fill, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(a).max()))
    # Sums of all logits, of the rows of padding too.
    everywhere = _gradients(model, filled, np.pad(labels(), [(0, 2), (0, 0)]), all_count=True)
    assert all(np.isfinite(g).all() for g in everywhere)


def _gradients(model: Any, inputs: Any, y: np.ndarray, all_count: bool = False) -> list[np.ndarray]:
    weight = np.ones(y.shape, "float32") if all_count else (y != 0).astype("float32")

    def loss_of(logits: Any) -> Any:
        losses = ops.sparse_categorical_crossentropy(y, logits, from_logits=True)
        return ops.sum(losses * weight)

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = loss_of(model(inputs))
        found = tape.gradient(loss, [v.value for v in model.trainable_variables])
        return [np.asarray(tf.convert_to_tensor(g)) for g in found]
    if backend == "jax":
        import jax

        state = [v.value for v in model.non_trainable_variables]

        def total(trainable: Any) -> Any:
            return loss_of(model.stateless_call(trainable, state, inputs)[0])

        return [
            np.asarray(g) for g in jax.grad(total)([v.value for v in model.trainable_variables])
        ]
    pytest.skip("gradients are taken on TensorFlow and JAX")


@pytest.mark.tensorflow
def test_it_trains_compiled_by_xla() -> None:
    model, same = one_layer(dropout=0.0), one_layer(dropout=0.0)
    same.set_weights(model.get_weights())
    with pytest.warns(UserWarning, match="No noise"):
        logs, weights = trained(model, model)
    with pytest.warns(UserWarning, match="No noise"):
        same_logs, same_weights = trained(same, same, jit_compile=True)
    np.testing.assert_allclose(same_logs["loss"], logs["loss"], rtol=1e-5)
    for a, b in zip(weights, same_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("rows", "options", "text"),
    [
        ([[5, 13]], {}, r"Received: a model of \(13, 13\) for \(14, 7\); make it of the sizes"),
        (
            [[5] * 9],
            {"positions": "learned", "max_length": 9},
            "of up to 10 tokens and max_length=9",
        ),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_batches_that_the_model_cannot_take_are_refused(
    rows: list[list[int]], options: dict[str, Any], text: str, wrapped: bool
) -> None:
    model = RDropModel(small(**options), alpha=1.0) if wrapped else small(**options)
    model.compile("sgd", SPARSE(from_logits=True))
    with pytest.raises(ValueError, match=text):
        model.fit(TokenBatches(rows, [[6]], tokens=64), verbose=0)
