"""What `RDropLoss` refuses, in which words, and that it leaves its input alone."""

import re

import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf import RDropLoss

pytestmark = pytest.mark.one_backend

SPARSE = keras.losses.SparseCategoricalCrossentropy
LABELS = np.array([0, 2, 1, 2], "int32")
PASSES = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")


def message(text):
    """Matches a text with what is fixed in it taken word for word."""
    return re.escape(text)


@pytest.mark.parametrize(
    ("alpha", "words"),
    [
        (-1.0, "`alpha` must be finite and >= 0. Received: alpha=-1.0"),
        (float("nan"), "`alpha` must be finite and >= 0. Received: alpha=nan"),
        (float("inf"), "`alpha` must be finite and >= 0. Received: alpha=inf"),
        ("much", "`alpha` must be a number >= 0. Received: alpha='much'"),
        (None, "`alpha` must be a number >= 0. Received: alpha=None"),
    ],
)
def test_alpha(alpha, words):
    with pytest.raises(ValueError, match=message(words)):
        RDropLoss(alpha)


def test_unknown_divergence():
    words = (
        "`divergence` must be one of 'auto', 'symmetric_kl', 'jensen_shannon', 'kl_forward', "
        "'bernoulli_kl', 'squared_difference'. Received: divergence='euclid'"
    )
    with pytest.raises(ValueError, match=message(words)):
        RDropLoss(divergence="euclid")


def test_unknown_normalization():
    words = "`normalize` must be one of 'passes', 'paper'. Received: normalize='half'"
    with pytest.raises(ValueError, match=message(words)):
        RDropLoss(normalize="half")


@pytest.mark.parametrize("reduction", [None, "none"])
def test_a_loss_that_is_not_reduced(reduction):
    words = (
        "`reduction` must be one of 'sum_over_batch_size', 'mean', 'mean_with_sample_weight', "
        f"'sum'. Received: reduction={reduction!r}"
    )
    with pytest.raises(ValueError, match=message(words)):
        RDropLoss(loss=SPARSE(from_logits=True, reduction=reduction))


def test_no_loss():
    with pytest.raises(ValueError, match=message("A loss is needed: a name such as")):
        RDropLoss(loss=None)


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (keras.losses.Poisson(), "poisson"),
        ("hinge", "hinge"),
        (lambda y_true, y_pred: ops.mean(y_pred), "<lambda>"),
    ],
)
def test_a_loss_without_a_known_divergence(loss, name):
    words = (
        f"No divergence is known for the loss `{name}`: pass `divergence=` one of "
        "'symmetric_kl', 'jensen_shannon', 'kl_forward', 'bernoulli_kl', 'squared_difference', "
        "or a function of two predictions that returns one value per position. Received: "
        "divergence='auto'"
    )
    with pytest.raises(ValueError, match=message(words)):
        RDropLoss(loss=loss)


@pytest.mark.parametrize(
    ("loss", "divergence", "words"),
    [
        (SPARSE(), "bernoulli_kl", "which predicts one class of many"),
        ("mse", "symmetric_kl", "which predicts a number, not a distribution"),
    ],
)
def test_a_divergence_that_does_not_fit_the_loss(loss, divergence, words):
    with pytest.raises(ValueError, match=f"divergence='{divergence}' does not fit.*{words}"):
        RDropLoss(loss=loss, divergence=divergence)


@pytest.mark.parametrize(
    ("passes", "received"),
    [
        ((PASSES[0],), "a tuple of length 1"),
        ([PASSES[0]], "a list of length 1"),
        ([], "a list of length 0"),
        (PASSES[0], "one ndarray of shape (4, 3)"),
        (PASSES, "one ndarray of shape (2, 4, 3)"),
    ],
)
def test_fewer_than_two_passes(passes, received):
    words = "RDropLoss needs the predictions of two passes or more in a tuple"
    with pytest.raises(ValueError, match=f"{words}.*Received: {message(received)}"):
        RDropLoss(loss=SPARSE(from_logits=True))(LABELS, passes)


def test_passes_of_different_shapes():
    words = (
        "The two passes must have the same shape: one prediction for the same example in the "
        "same place. Received: shapes (4, 3) and (4, 2)"
    )
    with pytest.raises(ValueError, match=message(words)):
        RDropLoss(loss=SPARSE(from_logits=True))(LABELS, (PASSES[0], PASSES[1, :, :2]))


def test_a_third_pass_of_another_shape():
    passes = (*PASSES, PASSES[0, :2])
    with pytest.raises(ValueError, match=message("shapes (4, 3) and (2, 3)")):
        RDropLoss(loss=SPARSE(from_logits=True))(LABELS, passes)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 1)])
def test_a_weight_that_fits_no_position(shape):
    words = (
        "`sample_weight` must have one value per example or per position of the loss. "
        f"Received: sample_weight of shape {shape} for losses of shape (4,)"
    )
    weight = np.ones(shape, "float32")
    with pytest.raises(ValueError, match="`sample_weight` must have one value per example"):
        RDropLoss(loss=SPARSE(from_logits=True))(LABELS, tuple(PASSES), weight)
    if shape[-1] > 1:
        with pytest.raises(ValueError, match=message(words)):
            RDropLoss(loss=SPARSE(from_logits=True))(LABELS, tuple(PASSES), weight)


def test_binary_labels_that_would_be_broadcast():
    words = "Labels must have the shape of what they are compared with. Received: labels of shape"
    loss = RDropLoss(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match=message(f"{words} (4,) for predictions of shape (4, 3)")):
        loss(LABELS.astype("float32"), tuple(PASSES))


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize(("bad", "lowest", "highest"), [(-1, -1, -1), (3, 3, 3), (255, 255, 255)])
def test_labels_out_of_range(from_logits, bad, lowest, highest):
    words = (
        "Labels must be whole numbers from 0 to 3 - 1, one for each of the 3 classes of the "
        "predictions; give places without a label a `sample_weight` of 0, or the loss an "
        f"`ignore_class`. Received: labels from {lowest} to {highest}"
    )
    passes = PASSES if from_logits else np.full_like(PASSES, 1 / 3)
    loss = RDropLoss(loss=SPARSE(from_logits=from_logits))
    with pytest.raises(ValueError, match=message(words)):
        loss(np.array([0, bad, 1, 2], "int32"), tuple(passes))


def test_labels_out_of_range_with_a_divergence_of_ones_own():
    def distance(a, b):
        return ops.sum(ops.abs(a - b), axis=-1)

    for divergence in (distance, "squared_difference"):
        loss = RDropLoss(loss=SPARSE(from_logits=True), divergence=divergence)
        with pytest.raises(ValueError, match=message("Received: labels from 7 to 9")):
            loss(np.array([0, 7, 1, 9], "int32"), tuple(PASSES))


@pytest.mark.tensorflow
@pytest.mark.parametrize("from_logits", [True, False])
def test_labels_out_of_range_in_a_graph(from_logits):
    import tensorflow as tf

    loss = RDropLoss(loss=SPARSE(from_logits=from_logits))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([2, None, None])])
    def of(labels, passes):
        return loss(labels, (passes[0], passes[1]))

    passes = tf.nn.softmax(tf.constant(PASSES))
    assert np.isfinite(of(LABELS, passes))
    words = "Labels must be whole numbers from 0 to"
    with pytest.raises(tf.errors.InvalidArgumentError, match=words) as raised:
        of(np.array([0, 3, 1, -1], "int32"), passes)
    assert re.search(r"labels from\D+-1\D+to\D+3", str(raised.value))


@pytest.mark.parametrize("from_logits", [True, False])
def test_labels_out_of_range_are_never_a_silent_number_in_compiled_code(from_logits):
    """Code compiled by XLA cannot raise: it says NaN, and only then."""
    loss = RDropLoss(loss=SPARSE(from_logits=from_logits))
    passes = np.exp(PASSES) / np.exp(PASSES).sum(axis=-1, keepdims=True)
    compiled = {"jax": jax_compiled, "tensorflow": tensorflow_compiled}.get(keras.backend.backend())
    if compiled is None:
        pytest.skip("Torch compiles nothing here")
    of = compiled(lambda labels: loss(labels, tuple(passes)))
    assert np.isfinite(of(LABELS))
    assert np.isnan(of(np.array([0, 3, 1, 2], "int32")))
    assert np.isnan(of(np.array([0, -1, 1, 2], "int32")))


def jax_compiled(function):
    import jax

    return jax.jit(function)


def tensorflow_compiled(function):
    import tensorflow as tf

    return tf.function(function, jit_compile=True)


def test_nothing_of_the_callers_is_changed():
    passes = [PASSES[0].copy(), PASSES[1].copy()]
    labels, weight = LABELS.copy(), np.array([1.0, 0.0, 2.0, 1.0], "float32")
    given = [*passes]
    RDropLoss(loss=SPARSE(from_logits=True))(labels, given, weight)
    with pytest.raises(ValueError, match="Labels must be"):
        RDropLoss(loss=SPARSE(from_logits=True))(labels + 2, given, weight)
    assert given[0] is passes[0]
    assert given[1] is passes[1]
    np.testing.assert_array_equal(passes, PASSES)
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(weight, [1.0, 0.0, 2.0, 1.0])


def test_the_loss_given_is_used_and_not_changed():
    task = SPARSE(from_logits=True, reduction="sum", name="mine")
    before = task.get_config()
    loss = RDropLoss(loss=task)
    loss(LABELS, tuple(PASSES))
    assert loss.loss is task
    assert loss.reduction == "sum"
    assert task.get_config() == before
