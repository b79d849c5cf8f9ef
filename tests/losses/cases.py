"""Generated cases of the whole loss, each with what the reference makes of it.

All numbers are rounded to the dtype under test before either side sees them, so that the
reference measures the arithmetic and not the rounding of its input. Few shapes, because JAX
compiles every operation anew for each.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from rdrop_tf import RDropLoss
from rdrop_tf._keras import set_mask

from . import reference

POSITIONS_AND_CLASSES = [((1,), 3), ((5,), 1), ((2, 3), 7)]
STYLES = ["normal", "peaked", "close", "equal", "huge"]
STYLES_WITH_INFINITY = ["ruled_out", "ruled_out_once"]
NOT_CLASSES = [-1, 255, 10**6]


@dataclass
class Case:
    """Arguments of an `RDropLoss` and of its call, and the same for the reference."""

    options: dict[str, Any]
    y_true: np.ndarray
    passes: list[np.ndarray]
    weight: np.ndarray | None
    mask: np.ndarray | None
    reference_task: Callable[[np.ndarray], np.ndarray]
    reference_divergence: reference.Divergence
    # Positions that the task loss leaves out by itself, True = keep.
    reference_mask: np.ndarray | None = None

    def loss(self, *passes: Any) -> Any:
        """Calls `RDropLoss` with passes as tensors."""
        if self.mask is not None:
            set_mask(passes[0], ops.convert_to_tensor(self.mask))
        return RDropLoss(**self.options)(self.y_true, passes, self.weight)

    def computed(self) -> float:
        return float(self.loss(*[ops.convert_to_tensor(x) for x in self.passes]))

    def expected(self, *passes: np.ndarray) -> float:
        """Returns the reference's value, of other passes if some are given."""
        passes = tuple(x.astype("float64") for x in passes or self.passes)
        task = [self.reference_task(x) for x in passes]
        return self._reduce(task, self.reference_divergence, passes)

    def scale(self) -> float:
        """Returns the loss if every cross-entropy and every divergence were 1."""
        ones = np.ones_like(self.reference_task(self.passes[0].astype("float64")))
        return self._reduce([ones] * len(self.passes), lambda a, b: ones, self.passes)

    def _reduce(
        self, task: Sequence[np.ndarray], divergence: reference.Divergence, passes: Any
    ) -> float:
        masks = [m for m in (self.mask, self.reference_mask) if m is not None]
        return reference.rdrop_loss(
            task,
            divergence,
            passes,
            alpha=self.options["alpha"],
            normalize=self.options["normalize"],
            weight=self.weight,
            mask=np.logical_and.reduce(masks) if masks else None,
            reduction=self.options["loss"].reduction,
        )


def generate(count: int, dtype: str, seed: int) -> Iterator[Case]:
    """Makes cases of all kinds, the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    makers = [_sparse, _sparse, _dense, _dense, _binary, _regression]
    for _ in range(count):
        yield makers[rng.integers(len(makers))](rng, dtype)


def _sparse(rng: np.random.Generator, dtype: str) -> Case:
    shape, classes = _pick(rng, POSITIONS_AND_CLASSES)
    passes, from_logits, style = _class_predictions(rng, shape, classes, dtype)
    weight, mask = _weight(rng, shape, dtype), _mask(rng, shape)
    labels = _labels(rng, shape, classes, style)
    ignore_class = _pick(rng, [None, None, None, -1, 255, 0])
    if ignore_class is not None:
        labels = np.where(rng.random(shape) < 0.3, ignore_class, labels)
    given = labels if ignore_class is not None else _with_garbage(rng, labels, weight, mask)
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=from_logits, ignore_class=ignore_class, reduction=_reduction(rng)
    )
    name, divergence = _class_divergence(rng, from_logits)
    return Case(
        _options(rng, loss, name),
        given[..., None] if rng.random() < 0.3 else given,
        passes,
        weight,
        mask,
        lambda x: reference.sparse_cross_entropy(labels, reference.softmax_logs(x, from_logits)),
        divergence,
        None if ignore_class is None else labels != ignore_class,
    )


def _dense(rng: np.random.Generator, dtype: str) -> Case:
    shape, classes = _pick(rng, POSITIONS_AND_CLASSES)
    passes, from_logits, style = _class_predictions(rng, shape, classes, dtype)
    if rng.random() < 0.5:
        targets = np.eye(classes)[_labels(rng, shape, classes, style)].astype(dtype)
    else:
        targets = rng.dirichlet(np.ones(classes), shape).astype(dtype)
    smoothing = float(_pick(rng, [0.0, 0.1, 0.2]))
    loss = keras.losses.CategoricalCrossentropy(
        from_logits=from_logits, label_smoothing=smoothing, reduction=_reduction(rng)
    )
    smoothed = reference.smooth(targets.astype("float64"), smoothing, classes)
    name, divergence = _class_divergence(rng, from_logits)
    return Case(
        _options(rng, loss, name),
        targets,
        passes,
        _weight(rng, shape, dtype),
        _mask(rng, shape),
        lambda x: reference.dense_cross_entropy(smoothed, reference.softmax_logs(x, from_logits)),
        divergence,
    )


def _binary(rng: np.random.Generator, dtype: str) -> Case:
    shape, units = _pick(rng, POSITIONS_AND_CLASSES)
    passes = _logits(rng, (*shape, units), _pick(rng, STYLES))
    from_logits = bool(rng.random() < 0.7)
    if not from_logits:
        passes = [0.9998 / (1 + np.exp(-np.clip(x, -50, 50))) + 0.0001 for x in passes]
    targets = rng.random((*shape, units))
    if rng.random() < 0.5:
        targets = np.round(targets)
    targets, passes = targets.astype(dtype), [x.astype(dtype) for x in passes]
    smoothing = float(_pick(rng, [0.0, 0.01, 0.1]))
    loss = keras.losses.BinaryCrossentropy(
        from_logits=from_logits, label_smoothing=smoothing, reduction=_reduction(rng)
    )
    smoothed = reference.smooth(targets.astype("float64"), smoothing, 2)
    both = np.stack([smoothed, 1 - smoothed], axis=-1)
    one_unit = {"auto": reference.symmetric_kl, **_DIVERGENCES}
    name = str(_pick(rng, ["auto", "auto", "bernoulli_kl", *_DIVERGENCES]))

    def task(x: np.ndarray) -> np.ndarray:
        logs = reference.bernoulli_logs(x, from_logits).reshape(both.shape)
        return np.mean(reference.dense_cross_entropy(both, logs), axis=-1)

    def divergence(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        logs = [reference.bernoulli_logs(x, from_logits).reshape(both.shape) for x in (a, b)]
        return np.mean(one_unit.get(name, reference.symmetric_kl)(*logs), axis=-1)

    return Case(
        _options(rng, loss, name),
        *_with_or_without_unit(rng, targets, passes),
        _weight(rng, shape, dtype),
        _mask(rng, shape),
        task,
        divergence,
    )


def _regression(rng: np.random.Generator, dtype: str) -> Case:
    shape, units = _pick(rng, POSITIONS_AND_CLASSES)
    kind, formula = _pick(rng, _REGRESSIONS)
    passes = [x.astype(dtype) for x in _logits(rng, (*shape, units), _pick(rng, STYLES))]
    targets = rng.normal(size=(*shape, units)).astype(dtype)
    wide = targets.astype("float64")
    return Case(
        _options(rng, kind(reduction=_reduction(rng)), "auto"),
        *_with_or_without_unit(rng, targets, passes),
        _weight(rng, shape, dtype),
        _mask(rng, shape),
        lambda x: np.mean(formula(wide - x.reshape(wide.shape)), axis=-1),
        lambda a, b: reference.squared_difference(a.reshape(wide.shape), b.reshape(wide.shape)),
    )


_DIVERGENCES: dict[str, reference.Divergence] = {
    "jensen_shannon": reference.jensen_shannon,
    "kl_forward": reference.kl,
}
_REGRESSIONS = [
    (keras.losses.MeanSquaredError, np.square),
    (keras.losses.MeanAbsoluteError, np.abs),
    (keras.losses.Huber, lambda e: np.where(np.abs(e) <= 1, e**2 / 2, np.abs(e) - 0.5)),
    (keras.losses.LogCosh, lambda e: np.logaddexp(e, -e) - np.log(2)),
]


def _pick(rng: np.random.Generator, choices: Sequence[Any]) -> Any:
    return choices[rng.integers(len(choices))]


def _options(rng: np.random.Generator, loss: keras.losses.Loss, divergence: str) -> dict[str, Any]:
    return {
        "alpha": _pick(rng, [0.0, 0.5, 1.0, 5.0]),
        "loss": loss,
        "divergence": divergence,
        "normalize": _pick(rng, ["passes", "paper"]),
    }


def _reduction(rng: np.random.Generator) -> str:
    return str(_pick(rng, ["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum"]))


def draw_logits(
    rng: np.random.Generator, shape: tuple[int, ...], style: str, count: int
) -> list[np.ndarray]:
    """Draws the logits of so many passes."""
    if style in ("close", "equal"):
        common, noise = 3 * rng.normal(size=shape), 0.1 if style == "close" else 0.0
        return [common + noise * rng.normal(size=shape) for _ in range(count)]
    if style == "huge":
        return [rng.uniform(-1e4, 1e4, shape) for _ in range(count)]
    passes = [rng.normal(size=shape) * (10 if style == "peaked" else 2) for _ in range(count)]
    for x in passes if style == "ruled_out" else passes[:1]:
        if style in STYLES_WITH_INFINITY:
            x[..., -1] = -np.inf
    return passes


def _logits(rng: np.random.Generator, shape: tuple[int, ...], style: str) -> list[np.ndarray]:
    return draw_logits(rng, shape, style, _pick(rng, [2, 2, 2, 3]))


def _class_predictions(
    rng: np.random.Generator, shape: tuple[int, ...], classes: int, dtype: str
) -> tuple[list[np.ndarray], bool, str]:
    infinities = STYLES_WITH_INFINITY if classes > 1 else []
    style = _pick(rng, [*STYLES, *infinities])
    passes = _logits(rng, (*shape, classes), style)
    # Keras clips probabilities at 1e-7: with one class, and with -inf, that is another loss.
    from_logits = bool(rng.random() < 0.7) or classes == 1 or style in STYLES_WITH_INFINITY
    if not from_logits:
        some = 0.001 / classes
        passes = [0.999 * np.exp(reference.log_softmax(x)) + some for x in passes]
    return [x.astype(dtype) for x in passes], from_logits, style


def _class_divergence(
    rng: np.random.Generator, from_logits: bool
) -> tuple[str, reference.Divergence]:
    choices = {"auto": reference.symmetric_kl, **_DIVERGENCES}
    name = str(_pick(rng, ["auto", "auto", *choices, "symmetric_kl"]))
    of_logs = choices.get(name, reference.symmetric_kl)

    def divergence(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return of_logs(
            reference.softmax_logs(a, from_logits), reference.softmax_logs(b, from_logits)
        )

    return name, divergence


def _labels(
    rng: np.random.Generator, shape: tuple[int, ...], classes: int, style: str
) -> np.ndarray:
    """Classes that are not ruled out."""
    possible = classes - 1 if style in STYLES_WITH_INFINITY else classes
    return rng.integers(0, possible, shape).astype("int32")


def _weight(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray | None:
    kind = _pick(rng, ["none", "by example", "by position"])
    if kind == "none":
        return None
    weight = rng.uniform(0, 2, shape[:1] if kind == "by example" else shape)
    return np.where(rng.random(weight.shape) < 0.2, 0, weight).astype(dtype)


def _mask(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray | None:
    return rng.random(shape) < 0.7 if rng.random() < 0.5 else None


def _with_garbage(
    rng: np.random.Generator,
    labels: np.ndarray,
    weight: np.ndarray | None,
    mask: np.ndarray | None,
) -> np.ndarray:
    """Puts labels that are no class where nobody may look."""
    unseen = np.zeros(labels.shape, "bool") if mask is None else ~mask
    if weight is not None:
        unseen = unseen | (weight.reshape(weight.shape + (1,) * (labels.ndim - weight.ndim)) == 0)
    return np.where(unseen, rng.choice(NOT_CLASSES, labels.shape), labels).astype("int32")


def _with_or_without_unit(
    rng: np.random.Generator, targets: np.ndarray, passes: list[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """One unit may be an axis of its own or none, in labels and predictions apart."""
    if targets.shape[-1] == 1 and rng.random() < 0.5:
        targets = targets[..., 0]
    if passes[0].ndim == 2 and passes[0].shape[-1] == 1 and rng.random() < 0.5:
        passes = [x[..., 0] for x in passes]
    return targets, passes
