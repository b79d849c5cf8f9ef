import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses.linear_terms import linear_terms, subtract_at
from rdrop_tf.losses.projection import Projection

from . import reference
from .linear_cases import Case, differentiated, truth

CASE = Case(7, 11, passes=3, chunk_size=3, weights="some zero")
HIDDEN, KERNEL, BIAS = CASE.arrays("float64")
LABELS, WEIGHT = CASE.labels(), CASE.sample_weight()


def terms(hidden, kernel, bias, transposed=False, trained=True, **options):
    hidden, kernel, bias = map(ops.convert_to_tensor, (hidden, kernel, bias))
    options = {"task_factor": 0.3, "divergence_factor": 0.7, "chunk_size": 3, **options}
    return linear_terms(
        hidden,
        Projection(kernel, bias, transposed, trained),
        ops.convert_to_tensor(LABELS),
        ops.convert_to_tensor(WEIGHT),
        **options,
    )


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_sums_by_weight(passes):
    found = terms(HIDDEN[:passes], KERNEL, BIAS)
    logs = reference.log_softmax(HIDDEN[:passes] @ KERNEL + BIAS)
    task = [np.sum(WEIGHT * reference.sparse_cross_entropy(LABELS, x)) for x in logs]
    np.testing.assert_allclose(ops.convert_to_numpy(found.task), task, rtol=1e-12)
    total = 0.3 * sum(task)
    if passes == 1:
        assert found.divergence is None
    else:
        pairs = [(i, j) for j in range(passes) for i in range(j)]
        apart = [np.sum(WEIGHT * reference.symmetric_kl(logs[i], logs[j])) for i, j in pairs]
        assert float(found.divergence) == pytest.approx(np.mean(apart), rel=1e-12)
        total += 0.7 * np.mean(apart)
    assert float(found.total) == pytest.approx(total, rel=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("trained", [False, True])
def test_gradients(transposed, trained):
    kernel = KERNEL.T.copy() if transposed else KERNEL
    _, found = differentiated(
        lambda *xs: terms(*xs, transposed, trained).total, HIDDEN, kernel, BIAS
    )
    # truth() divides by 7 rows and 3 passes and halves alpha.
    _, expected = truth(
        HIDDEN, KERNEL, BIAS, labels=LABELS, sample_weight=WEIGHT, alpha=2 * 0.7 / 0.9
    )
    expected = [0.9 * 7 * x for x in expected]
    expected[1] = expected[1].T if transposed else expected[1]
    expected[1] = expected[1] if trained else 0 * expected[1]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_no_gradient_flows_into_the_factors():
    factors = np.array([0.3, 0.7])

    def total(factors):
        return terms(
            HIDDEN, KERNEL, BIAS, task_factor=factors[0], divergence_factor=factors[1]
        ).total

    value, (found,) = differentiated(total, factors)
    assert value == pytest.approx(float(terms(HIDDEN, KERNEL, BIAS).total), rel=1e-13)
    assert np.all(found == 0)


def test_subtract_at():
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    places, amounts = np.array([3, 0, 3], "int32"), np.array([1.0, 2.0, 0.5], "float32")
    found = subtract_at(*map(ops.convert_to_tensor, (x, places, amounts)))
    expected = x.copy()
    for row, (place, amount) in enumerate(zip(places, amounts, strict=True)):
        expected[:, row, place] -= amount
    np.testing.assert_array_equal(ops.convert_to_numpy(found), expected)


def test_sums_are_float32_whatever_comes_in():
    for dtype in ("float16", "bfloat16", "float32"):
        found = terms(*[ops.cast(x, dtype) for x in (HIDDEN, KERNEL, BIAS)])
        for x in (found.total, found.task, found.divergence):
            assert keras.backend.standardize_dtype(x.dtype) == "float32"


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_large_kernel_gets_the_same_gradient(jit_compile, dtype, monkeypatch):
    import tensorflow as tf

    from rdrop_tf.losses import linear_terms as module
    from rdrop_tf.losses.projection import Projection

    rng = np.random.default_rng(0)
    hidden = tf.constant(rng.normal(size=(2, 7, 3)), dtype)
    kernel = tf.constant(rng.normal(size=(3, 5)), "float32")
    factors = {"task_factor": 1.0, "divergence_factor": 2.0, "chunk_size": 2}

    def gradients(large_from):
        monkeypatch.setattr(module, "_LARGE_KERNEL", large_from)

        @tf.function(jit_compile=jit_compile)
        def differentiate():
            with tf.GradientTape() as tape:
                tape.watch((hidden, kernel))
                labels = tf.range(7) % 5
                total = module.linear_terms(
                    hidden, Projection(kernel), labels, None, **factors
                ).total
            return tape.gradient(total, (hidden, kernel))

        return [tf.cast(x, "float32").numpy() for x in differentiate()]

    for large, small in zip(gradients(0), gradients(1000), strict=True):
        np.testing.assert_array_equal(large, small)
        assert np.isfinite(small).all()


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_no_rows_give_no_gradient_to_a_large_kernel(jit_compile, monkeypatch):
    """A replica may get none of the rows of a batch."""
    import tensorflow as tf

    from rdrop_tf.losses import linear_terms as module
    from rdrop_tf.losses.projection import Projection

    monkeypatch.setattr(module, "_LARGE_KERNEL", 0)
    signature = [tf.TensorSpec((2, 0 if jit_compile else None, 3)), tf.TensorSpec((3, 5))]

    @tf.function(input_signature=signature, jit_compile=jit_compile)
    def differentiate(hidden, kernel):
        with tf.GradientTape() as tape:
            tape.watch((hidden, kernel))
            labels = tf.zeros((tf.shape(hidden)[1],), "int32")
            found = module.linear_terms(
                hidden, Projection(kernel), labels, None, task_factor=1.0, divergence_factor=2.0
            )
        return found.total, *tape.gradient(found.total, (hidden, kernel))

    total, to_hidden, to_kernel = differentiate(tf.zeros((2, 0, 3)), tf.ones((3, 5)))
    assert float(total) == 0.0
    assert to_hidden.shape == (2, 0, 3)
    np.testing.assert_array_equal(to_kernel, np.zeros((3, 5)))


@pytest.mark.tensorflow
def test_nothing_is_left_of_what_a_gradient_starts_from():
    from rdrop_tf.losses.linear_terms import only_if

    x = np.array([1.0, np.inf, np.nan])
    np.testing.assert_array_equal(only_if(False, x), np.zeros(3))
    np.testing.assert_array_equal(only_if(True, x), x)
