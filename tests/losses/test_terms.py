import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses import squared_difference
from rdrop_tf.losses.heads import PlainHead
from rdrop_tf.losses.resolve import resolve_head, resolve_loss
from rdrop_tf.losses.terms import Terms, rdrop_terms

HEAD = resolve_head(keras.losses.SparseCategoricalCrossentropy(from_logits=True), "auto")
PASSES = [
    ops.convert_to_tensor(x)
    for x in np.random.default_rng(0).normal(size=(3, 2, 3, 7)).astype("float32")
]
LABELS = np.array([[0, 1, 2], [6, 5, 4]])


def terms(task, divergence):
    one = ops.ones(())
    return Terms([one * x for x in task], None if divergence is None else one * divergence, one)


@pytest.mark.parametrize(
    ("task", "normalize", "expected"),
    [
        ([2.0, 4.0], "passes", 3 + 1.5 * 10),
        ([2.0, 4.0], "paper", 6 + 3 * 10),
        ([2.0, 4.0, 9.0], "passes", 5 + 1.5 * 10),
        ([2.0, 4.0, 9.0], "paper", 15 + 3 * 10),
    ],
)
def test_combine(task, normalize, expected):
    assert float(terms(task, 10.0).combine(3.0, normalize)) == pytest.approx(expected)
    assert float(terms(task, 10.0).combine(ops.ones(()) * 3, normalize)) == pytest.approx(expected)


def test_combine_a_single_pass():
    assert float(terms([2.0], None).combine(3.0, "passes")) == 2


@pytest.mark.parametrize("normalize", ["passes", "paper"])
def test_an_alpha_of_zero_cancels_an_infinite_divergence(normalize):
    expected = {"passes": 3, "paper": 6}[normalize]
    assert float(terms([2.0, 4.0], np.inf).combine(0.0, normalize)) == expected
    assert float(terms([2.0, 4.0], np.inf).combine(ops.zeros(()), normalize)) == expected


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_sum_of_the_task_loss_for_each_pass(count):
    found = rdrop_terms(LABELS, PASSES[:count], HEAD)
    task = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    expected = [float(task(LABELS, x)) for x in PASSES[:count]]
    assert [float(x) for x in found.task] == pytest.approx(expected, rel=1e-6)
    assert (found.divergence is None) == (count == 1)
    assert float(found.denominator) == 6
    assert int(found.bad_labels) == 0


def test_pieces_of_a_batch_add_up():
    whole = rdrop_terms(LABELS, PASSES[:2], HEAD)
    parts = (slice(0, 1), slice(1, 2))
    rows = [rdrop_terms(LABELS[part], [x[part] for x in PASSES[:2]], HEAD) for part in parts]
    for name in ("divergence", "denominator"):
        total = sum(float(getattr(row, name)) for row in rows)
        assert total == pytest.approx(float(getattr(whole, name)), rel=1e-6)
    for k in (0, 1):
        total = sum(float(row.task[k]) for row in rows)
        assert total == pytest.approx(float(whole.task[k]), rel=1e-6)


def test_a_loss_that_averages_by_itself_counts_once_for_each_example():
    def squared(y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred))

    y_true, (a, b) = np.zeros((2, 3, 7), "float32"), PASSES[:2]
    found = rdrop_terms(y_true, [a, b], PlainHead(resolve_loss(squared), squared_difference))
    assert float(found.denominator) == 2
    assert float(found.task[0] / found.denominator) == pytest.approx(float(squared(0, a)), rel=1e-6)
    expected = float(ops.mean(squared_difference(a, b)))
    assert float(found.divergence / found.denominator) == pytest.approx(expected, rel=1e-6)


def test_a_divergence_of_more_positions_is_averaged_like_the_loss():
    """The loss of an image is one number, the divergence has one for each pixel."""

    def of_image(y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred), axis=(1, 2))

    a, b = PASSES[:2]
    head = PlainHead(resolve_loss(of_image), squared_difference)
    weight = np.array([1.0, 0.0], "float32")
    found = rdrop_terms(np.zeros((2, 3, 7), "float32"), [a, b], head, sample_weight=weight)
    expected = float(ops.mean(squared_difference(a, b)[0]))
    assert float(found.divergence) == pytest.approx(expected, rel=1e-6)


def test_labels_out_of_range_are_counted_only_where_they_carry_weight():
    labels = np.array([[0, 99, 2], [-5, 5, 4]])
    weight = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], "float32")
    found = rdrop_terms(labels, PASSES[:2], HEAD, sample_weight=weight)
    assert int(found.bad_labels) == 0
    assert np.isfinite(float(found.task[0]))
    with pytest.raises(ValueError, match="Received: labels from 99 to 99"):
        rdrop_terms(labels, PASSES[:2], HEAD, mask=np.array([True, False]))
