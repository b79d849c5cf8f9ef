"""GLUE's figures against formulas written out in float64 and against the libraries."""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sklearn_metrics

from rdrop_tf.metrics import (
    GLUE_METRICS,
    accuracy,
    f1,
    glue_metrics,
    matthews,
    pearson,
    spearman,
)

Pair = tuple[NDArray[np.generic], NDArray[np.generic]]
EXACT = {"rtol": 0, "atol": 1e-12}


def accuracy_formula(y: NDArray[np.generic], p: NDArray[np.generic]) -> float:
    return float(np.mean(y == p))


def f1_formula(y: NDArray[np.generic], p: NDArray[np.generic]) -> float:
    hits, misses = np.sum((y == 1) & (p == 1)), np.sum((y == 1) != (p == 1))
    return float(2 * hits / (2 * hits + misses)) if hits + misses else 0.0


def matthews_formula(y: NDArray[np.generic], p: NDArray[np.generic]) -> float:
    """As the correlation of two partitions: Σ_k cov(y = k, p = k), normalised."""
    kinds = np.union1d(y, p)
    true, predicted = ((values[:, None] == kinds).astype(np.float64) for values in (y, p))
    true, predicted = true - true.mean(0), predicted - predicted.mean(0)
    scale = np.sqrt((true**2).sum() * (predicted**2).sum())
    return float((true * predicted).sum() / scale) if scale else 0.0


def pearson_formula(y: NDArray[np.generic], p: NDArray[np.generic]) -> float:
    a, b = (values.astype(np.float64) - values.astype(np.float64).mean() for values in (y, p))
    scale = np.sqrt((a @ a) * (b @ b))
    return float((a @ b) / scale) if scale else 0.0


def mean_ranks(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """The rank of a value is how many are below it, plus the middle of those equal to it."""
    below = (values[None] < values[:, None]).sum(1)
    equal = (values[None] == values[:, None]).sum(1)
    return below + (equal + 1) / 2


def spearman_formula(y: NDArray[np.generic], p: NDArray[np.generic]) -> float:
    return pearson_formula(mean_ranks(y), mean_ranks(p))


def class_cases(classes: int) -> Iterator[Pair]:
    rng = np.random.default_rng(classes)
    for _ in range(200):
        count = rng.integers(1, 60)
        y = rng.integers(0, classes, count)
        flipped = rng.random(count) < rng.choice([0.0, 0.1, 0.5, 1.0])
        yield y, np.where(flipped, rng.integers(0, classes, count), y)
    for count in (1, 2, 50):
        mixed = np.arange(count) % classes
        for y in (np.zeros(count, int), np.ones(count, int), mixed):
            for p in (np.zeros(count, int), np.ones(count, int), mixed, mixed[::-1]):
                yield y, p


def score_cases() -> Iterator[Pair]:
    rng = np.random.default_rng(0)
    for case in range(200):
        count = rng.integers(2, 60)
        y = rng.uniform(0, 5, count)
        p = y + rng.choice([0.01, 1.0, 10.0]) * rng.normal(size=count)
        # Every second case is full of ties.
        yield (y.round(), p.round()) if case % 2 else (y.astype(np.float32), p.astype(np.float32))
    up, level = np.arange(5.0), np.full(5, 2.5)
    yield from [(up, level), (level, up), (level, level), (up, up), (up, -up)]
    yield np.array([1.0]), np.array([2.0])


def agree(
    cases: Iterator[Pair],
    ours: Callable[..., float],
    formula: Callable[..., float],
    library: Callable[..., float],
) -> None:
    for y, p in cases:
        value = ours(y, p)
        assert type(value) is float
        np.testing.assert_allclose(value, formula(y, p), **EXACT, err_msg=f"{y} {p}")
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            expected = np.nan_to_num(library(y, p)) if len(y) > 1 else formula(y, p)
        np.testing.assert_allclose(value, expected, **EXACT, err_msg=f"{y} {p}")


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_accuracy(classes: int) -> None:
    agree(class_cases(classes), accuracy, accuracy_formula, sklearn_metrics.accuracy_score)


def test_f1() -> None:
    agree(class_cases(2), f1, f1_formula, sklearn_metrics.f1_score)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_matthews(classes: int) -> None:
    agree(class_cases(classes), matthews, matthews_formula, sklearn_metrics.matthews_corrcoef)


def test_pearson() -> None:
    # In float64, as ours always is: SciPy computes float32 scores in float32.
    agree(
        score_cases(),
        pearson,
        pearson_formula,
        lambda y, p: stats.pearsonr(y.astype(np.float64), p.astype(np.float64)).statistic,
    )


def test_spearman() -> None:
    agree(score_cases(), spearman, spearman_formula, lambda y, p: stats.spearmanr(y, p).statistic)


@pytest.mark.parametrize("metric", [f1, matthews])
@pytest.mark.parametrize("count", [1, 2, 50])
def test_one_class_predicted_is_zero(metric: Callable[..., float], count: int) -> None:
    mixed = np.arange(count) % 2
    assert metric(mixed, np.zeros(count, int)) == 0.0
    assert matthews(mixed, np.ones(count, int)) == 0.0


@pytest.mark.parametrize("metric", [pearson, spearman])
def test_a_constant_is_zero(metric: Callable[..., float]) -> None:
    assert metric([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]) == 0.0
    assert metric([1.0], [2.0]) == 0.0


def test_nearly_constant_predictions_warn_of_nothing() -> None:
    nearly = 2.5 + np.array([0.0, 0.0, 4e-16])
    assert spearman([1.0, 2.0, 3.0], nearly) == pytest.approx(np.sqrt(0.75))
    assert pearson([1.0, 2.0, 3.0], nearly) > 0


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("CoLA", ["matthews"]),
        ("SST-2", ["accuracy"]),
        ("MRPC", ["accuracy", "f1"]),
        ("STS-B", ["pearson", "spearman"]),
        ("QQP", ["accuracy", "f1"]),
        ("MNLI", ["accuracy"]),
        ("QNLI", ["accuracy"]),
        ("RTE", ["accuracy"]),
        ("WNLI", ["accuracy"]),
    ],
)
def test_each_task_gets_the_figures_glue_reports(task: str, names: list[str]) -> None:
    assert list(glue_metrics(task, [0, 1, 1, 0], [0, 1, 0, 0])) == names


def test_the_figures_are_under_their_own_names() -> None:
    y, p = [0.0, 1.0, 5.0, 2.0], [0.5, 0.2, 3.0, 2.0]
    assert glue_metrics("STS-B", y, p) == {"pearson": pearson(y, p), "spearman": spearman(y, p)}
    y, p = [0, 1, 1, 1, 0], [1, 1, 1, 0, 0]
    assert glue_metrics("QQP", y, p) == {"accuracy": 0.6, "f1": pytest.approx(2 / 3)}
    assert glue_metrics("CoLA", y, p) == {"matthews": matthews(y, p)}


def test_both_sections_of_mnli_fit_into_one_dict() -> None:
    matched = glue_metrics("MNLI", [0, 1, 2], [0, 1, 1], "matched")
    mismatched = glue_metrics("MNLI", [0, 1, 2], [0, 1, 2], "mismatched")
    assert {**matched, **mismatched} == {
        "accuracy_matched": pytest.approx(2 / 3),
        "accuracy_mismatched": 1.0,
    }


def test_a_task_without_figures_is_refused() -> None:
    known = ", ".join(GLUE_METRICS)
    with pytest.raises(ValueError, match=f"GLUE's figures exist for {known}; got 'AX': AX has no"):
        glue_metrics("AX", [0], [0])


@pytest.mark.parametrize(
    ("metric", "y", "p", "text"),
    [
        (accuracy, [0, 1], [0], r"same examples, at least one; got the shapes \(2,\) and \(1,\)"),
        (accuracy, [], [], r"at least one; got the shapes \(0,\) and \(0,\)"),
        (accuracy, [0, 1], [[0, 1], [1, 0]], r"got the shapes \(2,\) and \(2, 2\)"),
        (matthews, [0, 1], [0.2, 0.8], "y_pred must hold class numbers, as integers; got float64"),
        (f1, [0.5, 1], [0, 1], "y_true must hold class numbers, as integers; got float64"),
        (f1, [0, 1], [0, 2], "f1 is defined for the classes 0 and 1; got the class 2"),
        (pearson, [0.0, 1.0], [0.0, np.nan], "y_pred must be finite; got NaN or infinity in 1 of"),
        (spearman, [0.0, np.inf], [0.0, 1.0], "y_true must be finite; got NaN or infinity in 1 of"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    metric: Callable[..., float], y: list[float], p: list[float], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        metric(y, p)
