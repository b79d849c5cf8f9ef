"""A head over a vocabulary: masks, weights, reductions, bad labels, ties, replicas."""

import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf import RDropLoss
from rdrop_tf._keras import set_mask
from rdrop_tf.losses.linear_head import LinearHead, linear_head_terms
from rdrop_tf.losses.projection import Projection

from .linear_cases import differentiated, needs_compiler

RNG = np.random.default_rng(0)
HIDDEN, KERNEL, BIAS = (RNG.normal(size=shape) for shape in ((2, 4, 3, 5), (5, 11), (11,)))
LABELS = RNG.integers(0, 11, (4, 3)).astype("int32")
MASK = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]], "bool")
WEIGHTS = {"none": None, "example": RNG.random(4), "position": RNG.random((4, 3))}
FACTORS = {"task_factor": 0.5, "divergence_factor": 1.5}


def terms(hidden, kernel, bias, labels=LABELS, *, ignore_class=None, trained=True, **options):
    head = LinearHead(
        Projection(kernel, bias, kernel_is_trained=trained), 0.0, ignore_class, chunk_size=5
    )
    passes = [hidden[i] for i in range(2)]
    return linear_head_terms(head, labels, passes, **{**FACTORS, **options})


def loss(*arrays, **options):
    found = terms(*arrays, **options)
    return found.sums.total / found.denominator


def plain(hidden, kernel, bias, ignore_class, mask, sample_weight, reduction):
    logits = hidden @ kernel + bias
    passes = [logits[0], logits[1]]
    if mask is not None:
        set_mask(passes[0], ops.convert_to_tensor(mask))
    task = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=ignore_class, reduction=reduction
    )
    return RDropLoss(3.0, task)(LABELS, passes, sample_weight)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("how", "weight", "reduction"),
    [
        ("all", "none", "sum_over_batch_size"),
        ("all", "example", "sum"),
        ("all", "position", "mean_with_sample_weight"),
        ("mask", "none", "mean_with_sample_weight"),
        ("mask", "example", "mean_with_sample_weight"),
        ("mask", "position", "sum_over_batch_size"),
        ("ignore_class", "none", "sum_over_batch_size"),
        ("ignore_class", "position", "sum"),
        ("both", "example", "sum_over_batch_size"),
        ("both", "position", "mean_with_sample_weight"),
    ],
)
def test_equals_the_plain_composition(how, weight, reduction):
    options = {
        "ignore_class": int(LABELS[0, 0]) if how in ("ignore_class", "both") else None,
        "mask": MASK if how in ("mask", "both") else None,
        "sample_weight": WEIGHTS[weight],
        "reduction": reduction,
    }
    value, found = differentiated(lambda *xs: loss(*xs, **options), HIDDEN, KERNEL, BIAS)
    expected, gradients = differentiated(lambda *xs: plain(*xs, **options), HIDDEN, KERNEL, BIAS)
    assert value == pytest.approx(float(expected), rel=1e-12)
    for one, other in zip(found, gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def small(*arrays):
    return [ops.convert_to_tensor(x.astype("float32")) for x in arrays or (HIDDEN, KERNEL, BIAS)]


def test_nothing_that_counts_costs_nothing():
    found = terms(*small(), mask=np.zeros((4, 3), "bool"))
    assert float(found.sums.total) == 0
    assert float(found.denominator) == 0


def test_labels_may_have_an_axis_of_their_own():
    assert float(loss(*small(), labels=LABELS[..., None])) == float(loss(*small()))
    with pytest.raises(ValueError, match=r"Labels must have the shape.*\(4, 2\).*\(4, 3\)"):
        terms(*small(), labels=LABELS[:, :2])


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match=r"`reduction` must be one of.*reduction='average'"):
        terms(*small(), reduction="average")


@pytest.mark.usefixtures("float64")
def test_a_frozen_kernel_gets_no_gradient_and_passes_that_of_the_hidden_states_on():
    _, frozen = differentiated(lambda *xs: loss(*xs, trained=False), HIDDEN, KERNEL, BIAS)
    _, trained = differentiated(loss, HIDDEN, KERNEL, BIAS)
    assert np.all(frozen[1] == 0)
    for i in (0, 2):
        np.testing.assert_allclose(frozen[i], trained[i], rtol=0, atol=1e-14)


@pytest.mark.usefixtures("float64")
def test_an_embedding_whose_matrix_is_the_head_too():
    ids = np.array([[1, 2, 2], [0, 10, 3], [4, 4, 4], [7, 8, 9]], "int32")
    noise = ops.convert_to_tensor(1 + HIDDEN / 5)

    def tied(matrix, bias):
        hidden = ops.take(matrix, ids, axis=0) * noise
        head = LinearHead(Projection(matrix, bias, transposed=True), chunk_size=5)
        return linear_head_terms(head, LABELS, [hidden[0], hidden[1]], **FACTORS).sums.total

    def composed(matrix, bias):
        hidden = ops.take(matrix, ids, axis=0) * noise
        return plain(hidden, ops.transpose(matrix), bias, None, None, None, "sum")

    value, found = differentiated(tied, KERNEL.T.copy(), BIAS)
    expected, gradients = differentiated(composed, KERNEL.T.copy(), BIAS)
    assert value == pytest.approx(float(expected), rel=1e-12)
    for one, other in zip(found, gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


# Labels that are no class

BAD = np.where(np.arange(12).reshape(4, 3) == 2, 11, LABELS).astype("int32")


def test_bad_labels_raise():
    with pytest.raises(ValueError, match=r"from 0 to 11 - 1, .* Received: labels from 11 to 11"):
        terms(*small(), labels=BAD)


def test_bad_labels_may_stand_where_nothing_counts():
    found, expected = (terms(*small(), labels=y, mask=MASK) for y in (BAD, LABELS))
    assert float(found.sums.total) == float(expected.sums.total)
    assert int(found.bad_labels) == 0


@pytest.mark.tensorflow
def test_bad_labels_stop_a_graph():
    import tensorflow as tf

    arrays = small()
    of = tf.function(lambda labels: loss(*arrays, labels=labels), autograph=False)
    assert np.isfinite(float(of(tf.constant(LABELS))))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Labels must be whole numbers"):
        of(tf.constant(BAD))


def test_bad_labels_are_nan_where_xla_compiled():
    compiler = needs_compiler()
    if compiler is None:
        pytest.skip("Torch compiles nothing here")
    arrays = small()
    of = compiler(lambda labels: loss(*arrays, labels=labels))
    assert np.isfinite(float(of(ops.convert_to_tensor(LABELS))))
    assert np.isnan(float(of(ops.convert_to_tensor(BAD))))


# Replicas


@pytest.mark.tensorflow
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight"])
def test_two_replicas_of_unequal_rows_add_up_to_one_device(reduction):
    import tensorflow as tf

    options = {"reduction": reduction, "trained": True}
    weight = WEIGHTS["position"]
    arrays = [tf.constant(x) for x in (HIDDEN, KERNEL, BIAS)]
    whole = terms(*arrays, mask=MASK, sample_weight=weight, **options).denominator
    expected = differentiated(
        lambda *xs: loss(*xs, mask=MASK, sample_weight=weight, **options), HIDDEN, KERNEL, BIAS
    )
    # Nothing is reduced across the devices here: what they return is added up below.
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    parts = slice(0, 3), slice(3, 4)

    def distributed(x):
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(x[parts[context.replica_id_in_sync_group]])
        )

    @tf.function(autograph=False)
    def on_replica(hidden, labels, mask, weight):
        given = [tf.transpose(hidden, (1, 0, 2, 3)), *arrays[1:]]
        with tf.GradientTape() as tape:
            tape.watch(given)
            found = terms(*given, labels, mask=mask, sample_weight=weight, **options)
            value = found.sums.total / whole
        return value, tape.gradient(value, given)

    rows = (HIDDEN.transpose(1, 0, 2, 3), LABELS, MASK, weight)
    results = strategy.run(on_replica, args=[distributed(x) for x in rows])
    values = strategy.experimental_local_results(results[0])
    gradients = [strategy.experimental_local_results(x) for x in results[1]]
    assert len(values) == 2
    assert float(sum(values)) == pytest.approx(float(expected[0]), rel=1e-12)
    found = [np.concatenate(gradients[0], axis=1), *(sum(x) for x in gradients[1:])]
    for one, other in zip(found, expected[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-13)
