"""The figures that GLUE reports, from true and predicted labels or scores."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

# The first one is the figure that the R-Drop paper reports and that a checkpoint is chosen by.
GLUE_METRICS: dict[str, tuple[str, ...]] = {
    "CoLA": ("matthews",),
    "SST-2": ("accuracy",),
    "MRPC": ("accuracy", "f1"),
    "STS-B": ("pearson", "spearman"),
    "QQP": ("accuracy", "f1"),
    "MNLI": ("accuracy",),
    "QNLI": ("accuracy",),
    "RTE": ("accuracy",),
    "WNLI": ("accuracy",),
}


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Computes the share of examples whose class is predicted.

    Args:
        y_true: Class numbers, shape (examples,).
        y_pred: Predicted class numbers, of the same shape.

    Returns:
        A share from 0 to 1.

    Raises:
        ValueError: If the arrays do not match, are empty or hold no class numbers.

    Example:
    >>> accuracy([0, 1, 1, 1], [0, 1, 1, 0])
    0.75
    """
    return float(accuracy_score(*_classes(y_true, y_pred)))


def f1(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Computes the F1 score of class 1 against class 0.

    Formula, with tp, fp and fn the true positives, false positives and false negatives:

        F1 = 2 tp / (2 tp + fp + fn), and 0 where no example is or is predicted positive

    Args:
        y_true: Classes 0 and 1, shape (examples,).
        y_pred: Predicted classes, of the same shape.

    Returns:
        A number from 0 to 1.

    Raises:
        ValueError: If the arrays do not match, are empty or hold anything but 0 and 1.

    Example:
    >>> f1([0, 1, 1, 1], [1, 1, 1, 0])
    0.6666666666666666
    """
    true, predicted = _classes(y_true, y_pred)
    others = np.setdiff1d(np.concatenate([true, predicted]), [0, 1])
    if others.size:
        raise ValueError(f"f1 is defined for the classes 0 and 1; got the class {others[0]}")
    return float(f1_score(true, predicted, zero_division=0.0))


def matthews(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Computes Matthews' correlation coefficient, for two classes or more.

    Formula, with c the correct ones of s examples, t_k those of class k and p_k those
    predicted as k:

        (c s - Σ_k t_k p_k) / √((s² - Σ_k p_k²) (s² - Σ_k t_k²))

    and 0 where all examples are of one class or are predicted as one.

    Args:
        y_true: Class numbers, shape (examples,).
        y_pred: Predicted class numbers, of the same shape.

    Returns:
        A number from -1 to 1; 0 for a guess that knows nothing.

    Raises:
        ValueError: If the arrays do not match, are empty or hold no class numbers.

    Example:
    >>> round(matthews([0, 0, 1, 1], [0, 1, 1, 1]), 4)
    0.5774
    """
    true, predicted = _classes(y_true, y_pred)
    if _is_constant(true) or _is_constant(predicted):
        return 0.0
    return float(matthews_corrcoef(true, predicted))


def pearson(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Computes Pearson's correlation coefficient.

    Formula: the covariance divided by both standard deviations, in float64; 0 where either
    input is constant.

    Args:
        y_true: Scores, shape (examples,).
        y_pred: Predicted scores, of the same shape.

    Returns:
        A number from -1 to 1.

    Raises:
        ValueError: If the arrays do not match, are empty or hold NaN or infinity.

    Example:
    >>> round(pearson([1.0, 2.0, 3.0], [1.0, 2.0, 6.0]), 4)
    0.9449
    """
    return _correlation(*_scores(y_true, y_pred))


def spearman(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Computes Spearman's correlation coefficient.

    Formula: Pearson's coefficient of the ranks, tied examples sharing the mean of their ranks;
    0 where either input is constant.

    Args:
        y_true: Scores, shape (examples,).
        y_pred: Predicted scores, of the same shape.

    Returns:
        A number from -1 to 1.

    Raises:
        ValueError: If the arrays do not match, are empty or hold NaN or infinity.

    Example:
    >>> round(spearman([1.0, 2.0, 3.0], [2.0, 1.0, 6.0]), 4)
    0.5
    """
    true, predicted = _scores(y_true, y_pred)
    return _correlation(stats.rankdata(true), stats.rankdata(predicted))


_FUNCTIONS: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "matthews": matthews,
    "pearson": pearson,
    "spearman": spearman,
}


def glue_metrics(
    task: str, y_true: ArrayLike, predictions: ArrayLike, section: str = ""
) -> dict[str, float]:
    """Computes all figures that GLUE reports for a task.

    Args:
        task: The official name, such as "MRPC".
        y_true: Class numbers, for STS-B scores; shape (examples,).
        predictions: The predicted ones, of the same shape.
        section: For MNLI "matched" or "mismatched": goes behind the names of the figures, so
            that those of both sections fit into one dict.

    Returns:
        The figures by name, as fractions of 1.

    Raises:
        ValueError: If GLUE reports nothing for the task, or the arrays do not fit it.

    Example:
    >>> glue_metrics("MRPC", [0, 1, 1, 1], [0, 1, 1, 0])
    {'accuracy': 0.75, 'f1': 0.8}
    >>> glue_metrics("MNLI", [0, 1, 2, 2], [0, 1, 2, 0], "matched")
    {'accuracy_matched': 0.75}
    """
    if task not in GLUE_METRICS:
        raise ValueError(
            f"GLUE's figures exist for {', '.join(GLUE_METRICS)}; got {task!r}: "
            "AX has no public labels, it is for prediction only"
        )
    suffix = f"_{section}" if section else ""
    return {name + suffix: _FUNCTIONS[name](y_true, predictions) for name in GLUE_METRICS[task]}


def _classes(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    true, predicted = _pair(y_true, y_pred)
    for name, values in (("y_true", true), ("y_pred", predicted)):
        if values.dtype.kind not in "iub":
            raise ValueError(
                f"{name} must hold class numbers, as integers; got {values.dtype}: "
                "take the argmax of logits first"
            )
    return true.astype(np.int64), predicted.astype(np.int64)


def _scores(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    true, predicted = (values.astype(np.float64) for values in _pair(y_true, y_pred))
    for name, values in (("y_true", true), ("y_pred", predicted)):
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise ValueError(
                f"{name} must be finite; got NaN or infinity in {bad} of {len(values)} examples: "
                "the model has diverged, so lower its learning rate"
            )
    return true, predicted


def _pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim != 1 or true.shape != predicted.shape or not true.size:
        raise ValueError(
            "y_true and y_pred must hold one value an example, for the same examples, at least "
            f"one; got the shapes {true.shape} and {predicted.shape}"
        )
    return true, predicted


def _correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    if _is_constant(a) or _is_constant(b):
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        return float(stats.pearsonr(a, b).statistic)


def _is_constant(values: NDArray[Any]) -> bool:
    return bool((values == values[0]).all())
