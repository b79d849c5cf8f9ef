"""The whole loss: against the reference, by identities, in half precision, refused."""

import math
from functools import partial
from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import layers, ops

from rdrop_tf import RDropLoss
from rdrop_tf._keras import set_mask
from rdrop_tf.losses import bernoulli_kl, squared_difference, symmetric_kl

from . import reference
from .cases import generate
from .divergence_laws import tolerance
from .gradients import central_differences, gradients, value_and_gradients

SPARSE = keras.losses.SparseCategoricalCrossentropy
DENSE = keras.losses.CategoricalCrossentropy
BINARY = keras.losses.BinaryCrossentropy
# The arithmetic is the same on every backend, and JAX compiles each new shape of an operation.
CASES = 1000 if keras.backend.backend() == "tensorflow" else 250


def draw(seed=0, shape=(2, 3, 7), dtype="float32"):
    """One shape for most tests: JAX compiles every operation anew for each."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def labels_for(predictions, seed=0):
    shape, classes = predictions.shape[:-1], predictions.shape[-1]
    return np.random.default_rng(seed).integers(0, classes, shape).astype("int32")


def with_mask(x, mask):
    x = ops.convert_to_tensor(x)
    if mask is not None:
        set_mask(x, ops.convert_to_tensor(mask))
    return x


# Against the reference


@pytest.mark.usefixtures("float64")
def test_equals_the_reference_in_float64():
    check_generated_cases("float64")


def test_equals_the_reference_in_float32():
    check_generated_cases("float32")


def check_generated_cases(dtype):
    finite = 0
    for number, case in enumerate(generate(CASES, dtype, seed=0)):
        found, expected = case.computed(), case.expected()
        assert not math.isnan(found), number
        assert found >= -1e-7, number
        if math.isinf(expected):
            assert found == expected, number
            continue
        assert abs(found - expected) <= tolerance(expected, dtype, case.scale()), number
        finite += 1
    assert finite > 0.9 * CASES


@pytest.mark.usefixtures("float64")
def test_gradients_of_all_passes_equal_numeric_ones():
    checked = 0
    for number, case in enumerate(generate(80, "float64", seed=1)):
        largest = max(np.max(np.abs(x)) for x in case.passes)
        # Differences of 1e-5 lose their digits in numbers beyond; and the reference makes
        # probabilities sum to 1, so that moving a single one means something else.
        if largest > 50 or not getattr(case.options["loss"], "from_logits", True):
            continue
        found = gradients(case.loss, *case.passes)
        expected = central_differences(case.expected, *case.passes)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-7, err_msg=str(number))
        checked += 1
    assert checked > 25


# Identities


@pytest.mark.one_backend
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize(
    "loss",
    [
        lambda r: SPARSE(from_logits=True, reduction=r),
        lambda r: SPARSE(from_logits=False, reduction=r),
        lambda r: SPARSE(from_logits=True, ignore_class=2, reduction=r),
        lambda r: SPARSE(from_logits=False, ignore_class=2, reduction=r),
        lambda r: DENSE(from_logits=True, label_smoothing=0.1, reduction=r),
        lambda r: DENSE(from_logits=False, label_smoothing=0.1, reduction=r),
        lambda r: BINARY(from_logits=True, label_smoothing=0.1, reduction=r),
        lambda r: BINARY(from_logits=False, label_smoothing=0.1, reduction=r),
        lambda r: keras.losses.MeanSquaredError(reduction=r),
        lambda r: keras.losses.MeanAbsoluteError(reduction=r),
        lambda r: keras.losses.Huber(delta=0.5, reduction=r),
        lambda r: keras.losses.LogCosh(reduction=r),
    ],
)
def test_alpha_zero_gives_the_task_loss_of_keras(loss, reduction):
    task = loss(reduction)
    passes = [draw(seed=seed) for seed in (1, 2)]
    if getattr(task, "from_logits", True) is False:
        passes = [0.001 + 0.99 * np.exp(reference.log_softmax(x)) for x in passes]
        passes = [(x / x.sum(axis=-1, keepdims=True)).astype("float32") for x in passes]
    y_true = labels_for(passes[0])
    if not isinstance(task, SPARSE):
        y_true = np.eye(7, dtype="float32")[y_true]
    mask = np.random.default_rng(3).random((2, 3)) < 0.6
    for kept in (None, mask):
        for weight in (None, np.random.default_rng(4).random((2, 3)).astype("float32")):
            found = RDropLoss(0.0, task)(y_true, [with_mask(x, kept) for x in passes], weight)
            expected = [task(y_true, with_mask(x, kept), weight) for x in passes]
            assert float(found) == pytest.approx(float(sum(expected)) / 2, rel=1e-6)


def test_alpha_zero_gives_the_task_loss_of_classes_on_another_axis():
    task = DENSE(from_logits=True, axis=1)
    passes = [draw(seed, (2, 3, 5)) for seed in (1, 2)]
    y_true = np.eye(3, dtype="float32")[:, [[0, 1, 2, 2, 1], [1, 1, 0, 2, 0]]].swapaxes(0, 1)
    found = RDropLoss(0.0, task)(y_true, passes)
    expected = sum(float(task(y_true, x)) for x in passes) / 2
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_alpha_zero_leaves_the_task_loss_where_the_passes_are_infinitely_apart():
    first, second = np.array([[0.0, 1.0, -np.inf]], "float32"), np.zeros((1, 3), "float32")
    y_true = np.array([0])
    task = SPARSE(from_logits=True)
    found = RDropLoss(0.0, task)(y_true, (first, second))
    expected = (math.log(1 + math.e) + math.log(3)) / 2
    assert float(found) == pytest.approx(expected, rel=1e-6)
    assert float(RDropLoss(1.0, task)(y_true, (first, second))) == math.inf


@pytest.mark.parametrize("normalize", ["passes", "paper"])
def test_the_formula_of_the_paper(normalize):
    """Both normalisations written out from the values of Keras and of the divergence."""
    first, second = draw(seed=1), draw(seed=2)
    y_true, task = labels_for(first), SPARSE(from_logits=True)
    ce = float(task(y_true, first) + task(y_true, second))
    d = float(ops.mean(symmetric_kl(first, second)))
    expected = {"passes": ce / 2 + 0.7 / 2 * d, "paper": ce + 0.7 * d}[normalize]
    found = RDropLoss(0.7, task, normalize=normalize)(y_true, (first, second))
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_the_paper_is_twice_the_default():
    passes = (draw(seed=1), draw(seed=2))
    y_true, task = labels_for(passes[0]), SPARSE(from_logits=True)
    half, whole = (
        float(RDropLoss(5.0, task, normalize=name)(y_true, passes)) for name in ("passes", "paper")
    )
    assert whole == pytest.approx(2 * half, rel=1e-6)


LOSSES = {
    "sparse": (SPARSE(from_logits=True), lambda: labels_for(draw())),
    "dense": (DENSE(from_logits=True), lambda: np.abs(draw(seed=8))),
    "binary": (BINARY(from_logits=True), lambda: np.round(np.abs(draw(seed=8)) % 1)),
    "regression": (keras.losses.MeanSquaredError(), lambda: draw(seed=8)),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_equal_passes_give_exactly_the_task_loss_and_its_gradient(kind):
    task, make = LOSSES[kind]
    x, y_true = draw(seed=1), make()
    value, found = value_and_gradients(lambda a, b: RDropLoss(3.0, task)(y_true, (a, b)), x, x)
    without, expected = value_and_gradients(lambda a, b: RDropLoss(0.0, task)(y_true, (a, b)), x, x)
    assert value == without
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", LOSSES)
def test_swapped_passes_give_the_same_value_and_swapped_gradients(kind):
    task, make = LOSSES[kind]
    a, b, y_true = draw(seed=1), draw(seed=2), make()
    loss = RDropLoss(3.0, task)
    one, (to_a, to_b) = value_and_gradients(lambda a, b: loss(y_true, (a, b)), a, b)
    other, (to_b_first, to_a_second) = value_and_gradients(lambda b, a: loss(y_true, (b, a)), b, a)
    assert one == other
    np.testing.assert_allclose(to_a, to_a_second, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(to_b, to_b_first, rtol=1e-6, atol=1e-8)


@pytest.mark.one_backend
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("how", ["mask", "weight", "weight 0 of a sum", "ignore_class"])
def test_what_is_masked_might_as_well_not_exist(how):
    """Garbage in masked places changes neither the loss nor any gradient."""
    keep = np.array([[True, True, False], [False, True, False]])
    a, b = draw(seed=1, dtype="float64"), draw(seed=2, dtype="float64")
    y_true = labels_for(a)
    reduction = {"weight": "mean_with_sample_weight", "weight 0 of a sum": "sum"}.get(how)
    options = {"from_logits": True, "reduction": reduction or "sum_over_batch_size"}
    weight = keep.astype("float64") if reduction else None

    def of_kept(a, b):
        return RDropLoss(3.0, SPARSE(**options))(y_true[keep], (a, b))

    def of_all(a, b, garbage):
        task = SPARSE(ignore_class=garbage if how == "ignore_class" else None, **options)
        passes = (with_mask(a, keep if how == "mask" else None), b)
        return RDropLoss(3.0, task)(np.where(keep, y_true, garbage), passes, weight)

    expected, expected_gradients = value_and_gradients(of_kept, a[keep], b[keep])
    large, ruled_out = 1e4 * (-1.0) ** np.arange(7), np.zeros(7)
    ruled_out[2] = -np.inf
    for garbage, junk_a, junk_b in (
        (-1, large, -large),
        (255, ruled_out, large),
        (10**6, large, ruled_out),
    ):
        dirty = [np.where(keep[..., None], x, junk) for x, junk in ((a, junk_a), (b, junk_b))]
        found, found_gradients = value_and_gradients(partial(of_all, garbage=garbage), *dirty)
        assert found == pytest.approx(float(expected), rel=1e-12)
        for one, other in zip(found_gradients, expected_gradients, strict=True):
            np.testing.assert_allclose(one[keep], other, rtol=0, atol=1e-12)
            assert np.all(one[~keep] == 0)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("how", ["mask", "weight"])
def test_masked_labels_of_probabilities_may_be_garbage_too(from_logits, how):
    x = np.full((3, 2), 0.5, "float32")
    y_true, keep = np.array([0, 10**6, -1]), np.array([True, False, False])
    passes = (with_mask(x, keep if how == "mask" else None), x)
    weight = None if how == "mask" else keep.astype("float32")
    task = SPARSE(from_logits=from_logits, reduction="sum")
    found = RDropLoss(1.0, task)(y_true, passes, weight)
    assert float(found) == pytest.approx(math.log(2), rel=1e-6)


@pytest.mark.one_backend
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight", "sum"])
def test_a_batch_split_in_pieces_gives_the_same_loss_and_gradient(reduction):
    """Uneven pieces, one of them without a single valid token."""
    a, b = (draw(seed, (6, 3, 7), "float64") for seed in (1, 2))
    y_true = labels_for(a)
    rng = np.random.default_rng(3)
    weight, mask = rng.random((6, 3)), rng.random((6, 3)) < 0.6
    mask[2:4] = False
    loss = RDropLoss(3.0, SPARSE(from_logits=True, reduction=reduction))

    def whole(a, b):
        return loss(y_true, (with_mask(a, mask), b), weight)

    def in_pieces(a, b):
        pieces = []
        for start, end in pairwise([0, 2, 4, 5, 6]):
            part = slice(start, end)
            passes = (with_mask(a[part], mask[part]), b[part])
            pieces.append(loss.terms(y_true[part], passes, weight[part]))
        return sum(piece.combine(3.0, "passes") for piece in pieces) / (
            1.0 if reduction == "sum" else sum(piece.denominator for piece in pieces)
        )

    value, found = value_and_gradients(in_pieces, a, b)
    expected, expected_gradients = value_and_gradients(whole, a, b)
    assert value == pytest.approx(float(expected), rel=1e-12)
    np.testing.assert_allclose(found, expected_gradients, rtol=0, atol=1e-13)


def test_three_passes_average_over_all_pairs():
    a, b, c = (draw(seed=seed) for seed in (1, 2, 3))
    y_true, task = labels_for(a), SPARSE(from_logits=True)
    ce = sum(float(task(y_true, x)) for x in (a, b, c)) / 3
    d = sum(float(ops.mean(symmetric_kl(x, y))) for x, y in ((a, b), (a, c), (b, c))) / 3
    found = RDropLoss(2.0, task)(y_true, [a, b, c])
    assert float(found) == pytest.approx(ce + d, rel=1e-6)


def test_one_weight_per_example_reaches_all_its_tokens():
    """Keras refuses a weight of shape (B,) for losses of shape (B, T)."""
    passes = (draw(seed=1), draw(seed=2))
    y_true, loss = labels_for(passes[0]), RDropLoss(1.0, SPARSE(from_logits=True))
    weight = np.array([0.5, 2.0], "float32")
    by_token = np.repeat(weight[:, None], 3, axis=1)
    found = float(loss(y_true, passes, weight))
    assert found == pytest.approx(float(loss(y_true, passes, by_token)), rel=1e-6)


@pytest.mark.one_backend
@pytest.mark.parametrize("task", [BINARY(from_logits=True), keras.losses.MeanSquaredError()])
def test_predictions_without_an_axis_of_units_are_one_unit_each(task):
    """No (B,) against (B, 1) is broadcast to (B, B), and weights reach their example."""
    passes = [draw(seed, (5, 1)) for seed in (1, 2)]
    y_true = np.array([[0.0], [1.0], [1.0], [0.0], [1.0]], "float32")
    weight = np.array([0.0, 1.0, 2.0, 0.5, 0.0], "float32")
    loss = RDropLoss(2.0, task)
    expected = float(loss(y_true, passes, weight))
    for labels in (y_true, y_true[:, 0]):
        for predictions in (passes, [x[:, 0] for x in passes]):
            found = float(loss(labels, predictions, weight))
            assert found == pytest.approx(expected, rel=1e-6)


def test_no_valid_position_costs_nothing():
    passes = (draw(seed=1), draw(seed=2))
    y_true, none = labels_for(passes[0]), np.zeros((2, 3))
    loss = RDropLoss(1.0, SPARSE(from_logits=True))
    value, found = value_and_gradients(
        lambda a, b: loss(y_true, (with_mask(a, none.astype("bool")), b)), *passes
    )
    assert value == 0
    assert np.all(np.array(found) == 0)
    weighted = RDropLoss(1.0, SPARSE(from_logits=True, reduction="mean_with_sample_weight"))
    assert float(weighted(y_true, passes, none.astype("float32"))) == 0
    empty = np.zeros((0, 7), "float32")
    assert float(loss(np.zeros(0, "int32"), (empty, empty))) == 0


# Heads and precision


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("task", "divergence"),
    [
        (SPARSE(from_logits=True), symmetric_kl),
        (DENSE(from_logits=True), symmetric_kl),
        (BINARY(from_logits=True), bernoulli_kl),
        (keras.losses.MeanSquaredError(), squared_difference),
        (keras.losses.Huber(), squared_difference),
    ],
)
def test_auto_takes_the_divergence_that_belongs_to_the_loss(task, divergence):
    passes = (draw(seed=1), draw(seed=2))
    y_true = labels_for(passes[0])
    if not isinstance(task, SPARSE):
        y_true = np.eye(7, dtype="float32")[y_true]
    by_name = RDropLoss(2.0, task)(y_true, passes)
    given = RDropLoss(2.0, task, divergence=lambda a, b: divergence(a, b))(y_true, passes)
    assert float(by_name) == pytest.approx(float(given), rel=1e-6)
    assert float(by_name) > float(RDropLoss(0.0, task)(y_true, passes))


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("task", "divergence"), [(SPARSE(), symmetric_kl), (BINARY(), bernoulli_kl)]
)
def test_a_divergence_of_the_package_hears_whether_predictions_are_logits(task, divergence):
    """As a function it would take probabilities for logits."""
    passes = [ops.softmax(draw(seed=seed)) for seed in (1, 2)]
    y_true = labels_for(draw())
    if not isinstance(task, SPARSE):
        y_true = np.eye(7, dtype="float32")[y_true]
    as_function = RDropLoss(2.0, task, divergence=divergence)
    by_name = RDropLoss(2.0, task, divergence=divergence.__name__)
    assert float(as_function(y_true, passes)) == float(by_name(y_true, passes))
    assert as_function.get_config() == by_name.get_config()


@pytest.mark.one_backend
def test_label_smoothing_acts_on_the_cross_entropy_only():
    passes = (draw(seed=1), draw(seed=2))
    y_true = np.eye(7, dtype="float32")[labels_for(passes[0])]
    task = DENSE(from_logits=True, label_smoothing=0.3)
    penalty = RDropLoss(2.0, task)(y_true, passes) - RDropLoss(0.0, task)(y_true, passes)
    expected = float(ops.mean(symmetric_kl(*passes)))
    assert float(penalty) == pytest.approx(expected, rel=1e-5)


@pytest.mark.one_backend
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("kind", "head"),
    [(SPARSE, ops.softmax), (DENSE, ops.softmax), (BINARY, ops.sigmoid)],
)
def test_an_activation_inside_the_model_changes_nothing(kind, head):
    passes = [draw(seed=seed, dtype="float64") for seed in (1, 2)]
    y_true = labels_for(passes[0]) if kind is SPARSE else np.abs(draw(dtype="float64")) % 1
    if kind is DENSE:
        y_true = y_true / y_true.sum(axis=-1, keepdims=True)
    inside, outside = (
        RDropLoss(2.0, kind(from_logits=False)),
        RDropLoss(2.0, kind(from_logits=True)),
    )
    value, found = value_and_gradients(lambda a, b: inside(y_true, (head(a), head(b))), *passes)
    expected, expected_gradients = value_and_gradients(
        lambda a, b: outside(y_true, (a, b)), *passes
    )
    assert value == pytest.approx(float(expected), rel=1e-12)
    np.testing.assert_allclose(found, expected_gradients, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    ("kind", "head"),
    [(SPARSE, ops.softmax), (DENSE, ops.softmax), (BINARY, ops.sigmoid)],
)
def test_gradient_of_a_saturated_head_is_finite(kind, head, dtype):
    """Also where Keras does not keep the logits behind the probabilities."""
    sizes = np.array([1.0, 10, 14, 15, 16, 20, 60, 80, 100, 1e4])[:, None]
    a = np.concatenate([sizes * [1, 0, -1], sizes * [-1, 1, 1]])
    b = np.concatenate([sizes * [-1, 1, -1], sizes * [0, -1, 0]])
    y_true = np.resize([0, 1, 2], len(a)).astype("int32")
    y_true = y_true if kind is SPARSE else np.eye(3, dtype="float32")[y_true]
    loss = RDropLoss(5.0, kind(from_logits=False))
    for keep_logits in (True, False):

        def of_logits(a, b, keep=keep_logits):
            passes = [head(ops.cast(x, dtype)) for x in (a, b)]
            return loss(y_true, passes if keep else [ops.add(x, 0) for x in passes])

        value, found = value_and_gradients(of_logits, a.astype("float32"), b.astype("float32"))
        assert np.isfinite(value)
        assert np.all(np.isfinite(found))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_no_worse_than_the_plain_formula_in_it(dtype):
    a, b = (ops.cast(draw(seed, (20, 3, 7)) * 3, dtype) for seed in (1, 2))
    y_true = labels_for(draw(0, (20, 3, 7)))
    one_hot = ops.cast(np.eye(7)[y_true], dtype)
    log_p, log_q = ops.log_softmax(a), ops.log_softmax(b)
    distance = ops.sum((ops.exp(log_p) - ops.exp(log_q)) * (log_p - log_q), axis=-1)
    plain = ops.mean(-ops.sum(one_hot * (log_p + log_q), axis=-1) / 2 + 2.5 / 2 * distance)

    wide = [ops.convert_to_numpy(ops.cast(x, "float32")).astype("float64") for x in (a, b)]
    logs = [reference.log_softmax(x) for x in wide]
    expected = reference.rdrop_loss(
        [reference.sparse_cross_entropy(y_true, x) for x in logs],
        reference.symmetric_kl,
        logs,
        alpha=2.5,
    )
    found = RDropLoss(2.5, SPARSE(from_logits=True))(y_true, (a, b))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    error, plain_error = abs(float(found) - expected), abs(float(plain) - expected)
    assert error <= plain_error
    assert error <= 2e-6 * expected


def test_labels_are_never_rounded_to_a_half_precision_prediction():
    """Keras casts labels to the dtype of the loss, which makes 9984 of 9999 in bfloat16."""
    x = np.zeros((1, 10_000), "float32")
    x[0, 9_999] = 20.0
    passes = [ops.cast(x, "bfloat16")] * 2
    assert float(RDropLoss(1.0, SPARSE(from_logits=True))(np.array([9_999]), passes)) < 1e-3


def test_a_training_loop_of_ones_own():
    """A model with dropout, two calls of it in each step, and nothing of `fit`."""
    model = keras.Sequential([layers.Input((4,)), layers.Dropout(0.2), layers.Dense(3)])
    x = draw(1, (64, 4))
    y_true = np.argmax(x @ draw(2, (4, 3)), axis=-1)
    loss = RDropLoss(1.0, SPARSE(from_logits=True))
    take_steps = {"tensorflow": tensorflow_steps, "jax": jax_steps, "torch": torch_steps}
    history = take_steps[keras.backend.backend()](model, loss, x, y_true, rate=0.5, steps=60)
    assert history[-1] < history[0] / 2


def tensorflow_steps(model, loss, x, y_true, rate, steps):
    import tensorflow as tf

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(y_true, (model(x, training=True), model(x, training=True)))
        for v, g in zip(
            model.trainable_variables, tape.gradient(value, model.trainable_weights), strict=True
        ):
            v.assign_sub(rate * g)
        return value

    return [float(step()) for _ in range(steps)]


def jax_steps(model, loss, x, y_true, rate, steps):
    import jax

    def compute(trainable, others):
        first, others = model.stateless_call(trainable, others, x, training=True)
        second, others = model.stateless_call(trainable, others, x, training=True)
        return loss(y_true, (first, second)), others

    compute = jax.jit(jax.value_and_grad(compute, has_aux=True))
    trainable = [v.value for v in model.trainable_variables]
    others = [v.value for v in model.non_trainable_variables]
    history = []
    for _ in range(steps):
        (value, others), found = compute(trainable, others)
        trainable = [v - rate * g for v, g in zip(trainable, found, strict=True)]
        history.append(float(value))
    return history


def torch_steps(model, loss, x, y_true, rate, steps):
    import torch

    history = []
    for _ in range(steps):
        model.zero_grad()
        value = loss(y_true, (model(x, training=True), model(x, training=True)))
        value.backward()
        with torch.no_grad():
            for v in model.trainable_variables:
                v.value.sub_(rate * v.value.grad)
        history.append(float(value.detach()))
    return history
