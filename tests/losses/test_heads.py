import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf import RDropLoss
from rdrop_tf._keras import get_logits
from rdrop_tf.losses import bernoulli_kl, symmetric_kl

A, B = np.random.default_rng(0).normal(size=(2, 2, 3, 7)).astype("float32")
SPARSE, DENSE = keras.losses.SparseCategoricalCrossentropy, keras.losses.CategoricalCrossentropy
BINARY = keras.losses.BinaryCrossentropy
LABELS = np.array([[0, 1, 2], [6, 5, 4]])


def value(task, y_true, passes, **options):
    return float(RDropLoss(loss=task, **options)(y_true, passes))


def test_logits_that_keras_keeps_with_an_activation_are_used():
    """They save what a saturated softmax has lost: 60 logits apart."""
    first, second = np.array([[60.0, 0.0]], "float32"), np.array([[0.0, 60.0]], "float32")
    passes = [keras.layers.Activation("softmax")(ops.convert_to_tensor(x)) for x in (first, second)]
    assert get_logits(passes[0]) is not None
    assert value(SPARSE(), np.array([0]), passes) == pytest.approx(60 / 2 + 60 / 2, rel=1e-5)
    # Without them Keras' cross-entropy is clipped at 1e-7, but the divergence is not.
    bare = [ops.add(x, 0) for x in passes]
    assert value(SPARSE(), np.array([0]), bare) == pytest.approx(16.118 / 2 + 60 / 2, rel=1e-4)


@pytest.mark.parametrize("name", ["auto", "jensen_shannon", "kl_forward", "squared_difference"])
def test_classes_on_another_axis_are_moved_first(name):
    y_true = np.eye(7, dtype="float32")[LABELS]
    expected = value(DENSE(from_logits=True), y_true, [A, B], divergence=name)
    moved = [np.moveaxis(x, -1, 1) for x in (A, B)]
    task = DENSE(from_logits=True, axis=1)
    found = value(task, np.moveaxis(y_true, -1, 1), moved, divergence=name)
    assert found == pytest.approx(expected, rel=1e-6)


def test_sparse_classes_on_another_axis():
    moved = [np.moveaxis(x, -1, 1) for x in (A, B)]
    expected = value(SPARSE(from_logits=True), LABELS, [A, B])
    assert value(SPARSE(from_logits=True, axis=1), LABELS, moved) == pytest.approx(expected)
    with_axis = LABELS[:, None]
    assert value(SPARSE(from_logits=True, axis=1), with_axis, moved) == pytest.approx(expected)


def test_units_of_a_binary_loss_on_another_axis():
    y_true = np.round(np.random.default_rng(1).random(A.shape)).astype("float32")
    y_true, moved = np.moveaxis(y_true, -1, 1), [np.moveaxis(x, -1, 1) for x in (A, B)]
    task = BINARY(from_logits=True, axis=1)
    expected = sum(float(task(y_true, x)) for x in moved) / 2
    expected += float(ops.mean(bernoulli_kl(A, B))) / 2
    assert value(task, y_true, moved) == pytest.approx(expected, rel=1e-6)


def test_labels_may_have_a_last_axis_of_one():
    for task in (SPARSE(from_logits=True), SPARSE()):
        passes = [A, B] if task.from_logits else [ops.softmax(A), ops.softmax(B)]
        expected = value(task, LABELS, passes)
        assert value(task, LABELS[..., None], passes) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("from_logits", [True, False])
def test_one_class_for_each_of_several_positions(from_logits):
    ones = np.ones((2, 3, 1), "float32")
    assert value(SPARSE(from_logits=from_logits), np.zeros((2, 3), "int32"), [ones, ones]) < 1e-6


class Doubled(SPARSE):
    """A subclass with a formula of its own."""

    def call(self, y_true, y_pred):
        assert tuple(y_true.shape) == (2, 3)
        return 2 * super().call(y_true, y_pred)


@pytest.mark.parametrize("from_logits", [True, False])
def test_a_subclass_keeps_its_formula_and_gets_the_divergence_of_its_family(from_logits):
    passes = [ops.convert_to_tensor(x) for x in (A, B)]
    if not from_logits:
        passes = [keras.layers.Activation("softmax")(x) for x in passes]
    task = SPARSE(from_logits=from_logits)
    ce = sum(float(task(LABELS, x)) for x in passes)
    found = value(Doubled(from_logits=from_logits), LABELS, passes)
    assert found == pytest.approx(ce + float(ops.mean(symmetric_kl(A, B))) / 2, rel=1e-5)


def test_a_subclass_of_a_binary_and_of_a_squared_loss_keep_theirs():
    class Tripled(BINARY):
        def call(self, y_true, y_pred):
            return 3 * super().call(y_true, y_pred)

    class Halved(keras.losses.MeanSquaredError):
        def call(self, y_true, y_pred):
            return super().call(y_true, y_pred) / 2

    y_true = np.round(np.random.default_rng(1).random(A.shape)).astype("float32")
    for changed, known, factor in (
        (Tripled(from_logits=True), BINARY(from_logits=True), 3),
        (Halved(), keras.losses.MeanSquaredError(), 0.5),
    ):
        found = value(changed, y_true, [A, B], alpha=0.0)
        expected = factor * value(known, y_true, [A, B], alpha=0.0)
        assert found == pytest.approx(expected, rel=1e-6)


def test_a_divergence_of_ones_own_gets_the_predictions_as_they_are():
    seen = []

    def mine(a, b):
        seen.append((tuple(a.shape), float(ops.sum(a)), float(ops.sum(b))))
        return ops.sum(ops.abs(a - b), axis=-1)

    for task, y_true in (
        (SPARSE(from_logits=True), LABELS),
        (BINARY(from_logits=True), np.zeros(A.shape, "float32")),
        (keras.losses.MeanSquaredError(), np.zeros(A.shape, "float32")),
        (keras.losses.CosineSimilarity(), np.ones(A.shape, "float32")),
    ):
        seen.clear()
        penalty = value(task, y_true, [A, B], divergence=mine, alpha=2.0)
        penalty -= value(task, y_true, [A, B], divergence=mine, alpha=0.0)
        assert penalty == pytest.approx(np.abs(A - B).sum(axis=-1).mean(), rel=1e-5)
        shape, *sums = seen[0]
        assert shape == A.shape
        assert sums == pytest.approx([A.sum(), B.sum()], abs=1e-4)
