import numpy as np
import pytest
from sklearn.metrics import log_loss, top_k_accuracy_score

from rdrop_tf.metrics.classification import negative_log_likelihood, top_k_accuracy


def _case(rows: int = 200, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rows)
    return rng.integers(0, classes, rows), rng.normal(0, 3, (rows, classes))


@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_top_k_is_scikit_learns(k: int) -> None:
    y, logits = _case()
    # scikit-learn warns that k = classes is always right.
    if k == 7:
        assert top_k_accuracy(y, logits, k) == 1.0
    else:
        expected = top_k_accuracy_score(y, logits, k=k, labels=range(7))
        assert top_k_accuracy(y, logits, k) == pytest.approx(expected, abs=1e-12)


def test_top_1_is_what_argmax_chooses_also_of_equal_logits() -> None:
    rng = np.random.default_rng(0)
    y, logits = rng.integers(0, 4, 300), rng.integers(0, 2, (300, 4))
    assert top_k_accuracy(y, logits) == (logits.argmax(axis=1) == y).mean()


def test_a_model_without_a_view_is_right_by_chance() -> None:
    y = np.arange(100)
    assert top_k_accuracy(y, np.zeros((100, 100)), k=5) == 0.05


def test_nll_is_scikit_learns() -> None:
    y, logits = _case()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = log_loss(y, probabilities, labels=range(7))
    assert negative_log_likelihood(y, logits) == pytest.approx(expected, abs=1e-12)


def test_large_logits_are_exact() -> None:
    logits = np.array([[4000.0, 0.0], [-4000.0, 0.0]])
    assert negative_log_likelihood([1, 0], logits) == 4000.0
    assert negative_log_likelihood([0, 1], logits) == 0.0


def test_float16_logits_are_computed_in_float64() -> None:
    y, logits = _case(50)
    half = logits.astype(np.float16)
    expected = negative_log_likelihood(y, half.astype(np.float64))
    assert negative_log_likelihood(y, half) == expected


def test_a_class_that_is_ruled_out_is_infinitely_unlikely() -> None:
    logits = [[0.0, -np.inf, 0.0]]
    assert negative_log_likelihood([1], logits) == np.inf
    assert negative_log_likelihood([0], logits) == pytest.approx(np.log(2))
    assert top_k_accuracy([2], logits, k=2) == 1.0


@pytest.mark.parametrize(
    ("y", "logits", "text"),
    [
        ([0, 3], np.zeros((2, 3)), "class numbers from 0 to 2, as there are 3 .*; got 3 in row 1"),
        ([-1], np.zeros((1, 3)), "from 0 to 2, as there are 3 logits; got -1 in row 0"),
        ([0.5], np.zeros((1, 3)), "got 0.5 in row 0"),
        ([0], np.zeros((2, 3)), r"must have the shapes .*; got \(1,\) and \(2, 3\)"),
        ([0], np.zeros(3), r"must have the shapes .*; got \(1,\) and \(3,\)"),
        ([], np.zeros((0, 3)), r"with a row at least; got \(0,\) and \(0, 3\)"),
        ([0, 0], [[0, 1], [np.nan, 1]], r"logits must be numbers.*got \[nan, 1.0\] in row 1: tra"),
        ([0], [[np.inf, 1]], r"logits must be numbers.*got \[inf, 1.0\] in row 0"),
        ([0], [[-np.inf, -np.inf]], r"logits must be numbers.*got \[-inf, -inf\] in row 0"),
    ],
)
def test_what_does_not_fit_is_named(y: object, logits: object, text: str) -> None:
    for metric in (top_k_accuracy, negative_log_likelihood):
        with pytest.raises(ValueError, match=text):
            metric(y, logits)


@pytest.mark.parametrize("k", [0, 4])
def test_k_beyond_the_classes_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to the number of classes, 3; got k={k}"):
        top_k_accuracy([0], np.zeros((1, 3)), k)
