"""Label smoothing of integer labels equals that of one-hot labels, by Keras and by hand."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import log_softmax

from rdrop_tf import RDropLoss
from rdrop_tf.losses import SmoothedSparseCategoricalCrossentropy, linear_rdrop

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(4, 5, 7))
LABELS = RNG.integers(0, 7, (4, 5))


def by_hand(smoothing: float) -> np.ndarray:
    log_p = log_softmax(LOGITS, axis=-1)
    picked = np.take_along_axis(log_p, LABELS[..., None], -1)[..., 0]
    return -(1 - smoothing) * picked - smoothing * log_p.mean(-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_the_formula(smoothing: float) -> None:
    loss = SmoothedSparseCategoricalCrossentropy(True, smoothing, reduction=None)
    found = ops.convert_to_numpy(loss(LABELS, LOGITS.astype("float32")))
    np.testing.assert_allclose(found, by_hand(smoothing), rtol=2e-6)
    of_p = SmoothedSparseCategoricalCrossentropy(label_smoothing=smoothing, reduction=None)
    p = np.exp(log_softmax(LOGITS, axis=-1)).astype("float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(of_p(LABELS[..., None], p)), by_hand(smoothing), rtol=2e-6
    )
    dense = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=smoothing, reduction=None
    )
    one_hot = np.eye(7, dtype="float32")[LABELS]
    np.testing.assert_allclose(
        found, ops.convert_to_numpy(dense(one_hot, LOGITS.astype("float32"))), rtol=2e-5
    )


def test_weights_ignored_places_and_labels_that_are_none() -> None:
    ignoring = SmoothedSparseCategoricalCrossentropy(
        True, 0.1, ignore_class=-1, reduction="mean_with_sample_weight"
    )
    labels, weights = LABELS.copy(), RNG.random((4, 5))
    labels[0, :3] = -1
    kept = weights * (labels != -1)
    expected = (kept * by_hand(0.1)).sum() / kept.sum()
    found = float(ignoring(labels, LOGITS.astype("float32"), weights.astype("float32")))
    assert found == pytest.approx(expected, rel=2e-6)
    strict = SmoothedSparseCategoricalCrossentropy(True, 0.1)
    assert np.isnan(float(strict(labels, LOGITS.astype("float32"))))


def test_rdrop_loss_smooths_the_cross_entropy_alone() -> None:
    other = RNG.normal(size=LOGITS.shape).astype("float32")
    first = LOGITS.astype("float32")
    plain, smoothed = (
        RDropLoss(2.0, SmoothedSparseCategoricalCrossentropy(True, amount)) for amount in (0, 0.1)
    )
    task = SmoothedSparseCategoricalCrossentropy(True, 0.1)
    task_plain = SmoothedSparseCategoricalCrossentropy(True)
    grown = float(smoothed(LABELS, (first, other))) - float(plain(LABELS, (first, other)))
    expected = [float(task(LABELS, x)) - float(task_plain(LABELS, x)) for x in (first, other)]
    assert grown == pytest.approx(np.mean(expected), abs=2e-6)


def test_a_vocabulary_head_gives_the_same() -> None:
    hidden = RNG.normal(size=(2, 6, 3)).astype("float32")
    kernel = RNG.normal(size=(3, 7)).astype("float32")
    labels = RNG.integers(0, 7, 6)
    loss = RDropLoss(3.0, SmoothedSparseCategoricalCrossentropy(True, 0.2))
    of_logits = float(loss(labels, (hidden[0] @ kernel, hidden[1] @ kernel)))
    chunked = linear_rdrop(hidden, kernel, labels, alpha=3.0, label_smoothing=0.2)
    assert float(chunked) == pytest.approx(of_logits, rel=2e-6)


def test_it_is_saved_and_read() -> None:
    loss = SmoothedSparseCategoricalCrossentropy(True, 0.1, 0, "sum")
    read = keras.losses.deserialize(keras.losses.serialize(loss))
    assert read.get_config() == loss.get_config()


def test_a_share_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"from 0 to below 1\. Received: label_smoothing=1"):
        SmoothedSparseCategoricalCrossentropy(label_smoothing=1)
