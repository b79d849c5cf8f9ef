import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses.projection import Projection, matmul, project, to_kernel, to_rows

from .gradients import gradients

RNG = np.random.default_rng(0)
ROWS, KERNEL, UPSTREAM = (RNG.normal(size=shape) for shape in ((4, 3), (3, 5), (4, 5)))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_matmul(transpose_a, transpose_b):
    a, b = (ROWS.T.copy() if transpose_a else ROWS), (KERNEL.T.copy() if transpose_b else KERNEL)
    a, b = ops.convert_to_tensor(a), ops.convert_to_tensor(b)
    found = matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    np.testing.assert_allclose(ops.convert_to_numpy(found), ROWS @ KERNEL, rtol=1e-13)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("transposed", [False, True])
def test_the_gradients_are_those_of_the_product(transposed):
    kernel = KERNEL.T.copy() if transposed else KERNEL
    rows, kernel, upstream = map(ops.convert_to_tensor, (ROWS, kernel, UPSTREAM))
    product = ops.convert_to_numpy(project(rows, kernel, transposed))
    np.testing.assert_allclose(product, ROWS @ KERNEL, rtol=1e-13)
    found = to_rows(upstream, kernel, transposed), to_kernel(rows, upstream, transposed)
    expected = gradients(
        lambda r, k: project(r, k, transposed) * ops.convert_to_tensor(UPSTREAM),
        *map(ops.convert_to_numpy, (rows, kernel)),
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(one), other, rtol=1e-12)


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_logits_of_any_axes(transposed, with_bias):
    rows, kernel, bias = (x.astype("float32") for x in (ROWS.reshape(2, 2, 3), KERNEL, UPSTREAM[0]))
    head = Projection(
        ops.convert_to_tensor(kernel.T.copy() if transposed else kernel),
        ops.convert_to_tensor(bias) if with_bias else None,
        transposed,
    )
    assert head.classes == 5
    expected = rows @ kernel + (bias if with_bias else 0)
    np.testing.assert_allclose(ops.convert_to_numpy(head.logits(rows)), expected, rtol=1e-5)
