"""Each foreign loss of paper.md, section 2, written out; its gradient is R-Drop's, scaled."""

import keras
import numpy as np
import pytest

from rdrop_tf import RDropLoss
from rdrop_tf.losses import convert_alpha

from . import reference
from .gradients import central_differences, gradients

pytestmark = pytest.mark.one_backend

ROWS, CLASSES = 4, 5
LABELS = np.array([0, 3, 1, 4])


def ce(z):
    """Cross-entropy by row."""
    return reference.sparse_cross_entropy(LABELS, reference.log_softmax(z))


def both_kl(z1, z2):
    """KL(P||Q) + KL(Q||P) by row."""
    log_p, log_q = reference.log_softmax(z1), reference.log_softmax(z2)
    return reference.kl(log_p, log_q) + reference.kl(log_q, log_p)


def paper(z1, z2, a):
    return np.mean(ce(z1) + ce(z2) + a * both_kl(z1, z2) / 2)


def official_translation(z1, z2, a):
    """One call on [x; x], summed over tokens and divided by their number."""
    z = np.concatenate([z1, z2])
    nll = -reference.log_softmax(z)[np.arange(2 * ROWS), np.concatenate([LABELS, LABELS])]
    tokens = ROWS
    return np.sum(nll) / tokens + a * np.sum(both_kl(*np.split(z, 2)) / 2) / tokens


def readme_batch_sum(z1, z2, a):
    return 0.5 * (np.mean(ce(z1)) + np.mean(ce(z2))) + a * np.sum(both_kl(z1, z2)) / 2


def readme_batch_mean(z1, z2, a):
    return 0.5 * (np.mean(ce(z1)) + np.mean(ce(z2))) + a * np.mean(both_kl(z1, z2)) / 2


def official_bert(z1, z2, a):
    return np.mean(ce(z1) + ce(z2)) + a * np.sum(both_kl(z1, z2)) / 2


def official_roberta(z1, z2, a):
    """Only the first pass has a cross-entropy; either pass is the first half of the time."""
    one = 0.5 * np.mean(ce(z1)) + a * np.sum(both_kl(z1, z2)) / 2
    other = 0.5 * np.mean(ce(z2)) + a * np.sum(both_kl(z2, z1)) / 2
    return (one + other) / 2


def official_vit(z1, z2, a):
    return np.mean(ce(z1) + ce(z2)) + a * np.sum(both_kl(z1, z2))


def bert4keras(z1, z2, a):
    """Both passes of a row lie side by side in a batch of 2B; each row counts its pair."""
    z = np.stack([z1, z2], axis=1).reshape(2 * ROWS, CLASSES)
    nll = -reference.log_softmax(z)[np.arange(2 * ROWS), np.repeat(LABELS, 2)]
    pair = both_kl(z[::2], z[1::2])
    return np.mean(nll) + a / 4 * np.mean(pair)


def mean_over_classes(z1, z2, a):
    log_p, log_q = reference.log_softmax(z1), reference.log_softmax(z2)
    p, q = np.exp(log_p), np.exp(log_q)
    by_class = p * (log_p - log_q) + q * (log_q - log_p)
    return 0.5 * (np.mean(ce(z1)) + np.mean(ce(z2))) + a / 4 * np.mean(by_class)


FOREIGN = [
    paper,
    official_translation,
    readme_batch_sum,
    readme_batch_mean,
    official_bert,
    official_roberta,
    official_vit,
    bert4keras,
    mean_over_classes,
]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("a", [0.5, 3.0])
def test_the_converted_alpha_trains_the_same_way(foreign, a):
    """The gradients of both passes have one constant ratio: the scale of the whole loss."""
    z1, z2 = np.random.default_rng(0).normal(size=(2, ROWS, CLASSES))
    alpha = convert_alpha(a, foreign.__name__, batch_size=ROWS, num_classes=CLASSES)
    loss = RDropLoss(alpha, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    ours = np.array(gradients(lambda z1, z2: loss(LABELS, (z1, z2)), z1, z2))
    theirs = np.array(central_differences(lambda z1, z2: foreign(z1, z2, a), z1, z2))
    # Entries near 0 are left out: their digits are those of the numeric differences.
    clear = np.abs(ours) > 1e-3
    ratios = theirs[clear] / ours[clear]
    assert np.sum(clear) > ROWS * CLASSES
    assert np.max(ratios) - np.min(ratios) <= 1e-6 * np.mean(ratios)


@pytest.mark.usefixtures("float64")
def test_an_alpha_that_is_not_converted_does_not():
    """The test above can tell: the README's own 1 is not the paper's."""
    z1, z2 = np.random.default_rng(0).normal(size=(2, ROWS, CLASSES))
    loss = RDropLoss(1.0, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    ours = np.array(gradients(lambda z1, z2: loss(LABELS, (z1, z2)), z1, z2))
    theirs = np.array(central_differences(lambda z1, z2: readme_batch_mean(z1, z2, 1.0), z1, z2))
    ratios = theirs[np.abs(ours) > 1e-3] / ours[np.abs(ours) > 1e-3]
    assert np.max(ratios) - np.min(ratios) > 0.1


@pytest.mark.parametrize(
    ("source", "alpha", "sizes", "expected"),
    [
        ("paper", 5.0, {}, 5.0),
        ("official_translation", 5.0, {}, 5.0),
        ("readme_batch_sum", 4.0, {"batch_size": 32}, 256.0),
        ("readme_batch_mean", 4.0, {}, 8.0),
        ("official_bert", 0.5, {"batch_size": 32}, 16.0),
        ("official_roberta", 0.7, {"batch_size": 10}, 28.0),
        ("official_vit", 0.3, {"batch_size": 32}, 19.2),
        ("bert4keras", 4.0, {}, 4.0),
        ("mean_over_classes", 4.0, {"num_classes": 10_000}, 0.0004),
    ],
)
def test_the_table_of_the_paper(source, alpha, sizes, expected):
    assert convert_alpha(alpha, source=source, **sizes) == pytest.approx(expected, rel=1e-12)


def test_every_source_is_compared_above():
    with pytest.raises(ValueError, match="`source` must be one of") as raised:
        convert_alpha(1.0, source="tea leaves")
    assert "Received: source='tea leaves'" in str(raised.value)
    for foreign in FOREIGN:
        assert repr(foreign.__name__) in str(raised.value)
    assert str(raised.value).count("'") == 2 * len(FOREIGN) + 2


@pytest.mark.parametrize("size", [None, 0, -1, 2.5])
@pytest.mark.parametrize(
    ("source", "name"), [("official_vit", "batch_size"), ("mean_over_classes", "num_classes")]
)
def test_a_size_that_is_needed(source, name, size):
    words = f"source='{source}' scales alpha by `{name}`, which must be a positive whole number"
    with pytest.raises(ValueError, match=f"{words}. Received: {name}={size}"):
        convert_alpha(1.0, source=source, **{name: size})


@pytest.mark.parametrize("alpha", [-1.0, float("nan"), float("inf")])
def test_alpha_itself(alpha):
    words = f"`alpha` must be finite and >= 0. Received: alpha={alpha}"
    with pytest.raises(ValueError, match=words):
        convert_alpha(alpha, source="paper")
