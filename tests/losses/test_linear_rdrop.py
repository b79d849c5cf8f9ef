"""The loss from hidden states: against NumPy and the plain composition, by identities, compiled."""

import math
import re
from functools import partial

import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses import linear_rdrop, symmetric_kl

from .gradients import central_differences, value_and_gradients
from .linear_cases import Case, compiled, differentiated, needs_compiler, relative_error, truth

ALLOWED = {"float64": 1e-10, "float32": 1e-5}
# Each alpha is exact in float32, which the plain composition rounds it to on TensorFlow.
CASES = [
    Case(1, 2),
    Case(7, 2, chunk_size=3, label_smoothing=0.1, weights="some zero"),
    Case(252, 2, passes=3, chunk_size=100, normalize="paper"),
    Case(1, 507, passes=3, chunk_size=5, alpha=0.75),
    Case(7, 507, chunk_size=2, with_bias=False, weights="some zero"),
    Case(7, 507, alpha=0.0, label_smoothing=0.2, chunk_size=4),
    Case(7, 507, passes=1, chunk_size=4, weights="some zero"),
    Case(252, 507, passes=3, chunk_size=100, weights="some zero", alpha=0.75),
    Case(252, 507, chunk_size=31, label_smoothing=0.1, normalize="paper", with_bias=False),
    Case(252, 507, passes=1, label_smoothing=0.1),
    Case(7, 10_007, chunk_size=3, weights="some zero", label_smoothing=0.1),
    Case(7, 10_007, passes=3, normalize="paper", alpha=5.0),
    Case(7, 507, weights="all zero", chunk_size=3, label_smoothing=0.1),
    Case(7, 507, label_smoothing=1.0, chunk_size=7, alpha=0.125),
]
SMALL = Case(7, 11, chunk_size=3)
HIDDEN, KERNEL, BIAS = SMALL.arrays("float64")
LABELS = SMALL.labels()
SPARSE = keras.losses.SparseCategoricalCrossentropy


def loss(hidden, kernel=KERNEL, bias=BIAS, labels=LABELS, **options):
    options = {"alpha": 2.0, "chunk_size": 3, **options}
    return linear_rdrop(hidden, kernel, labels, bias=bias, **options)


def cross_entropy(hidden, kernel=KERNEL, bias=BIAS, labels=LABELS):
    return truth(hidden, kernel, bias, labels=labels, alpha=0.0)[0]


# Against the reference


def check(case, dtype, allowed):
    arrays = case.arrays(dtype)
    value, found = differentiated(case.computed, *arrays)
    others = [case.expected(*arrays)]
    if case.passes > 1 and dtype == "float64":
        others.append(differentiated(case.plain, *arrays))
    for expected, expected_gradients in others:
        assert value.dtype == dtype
        assert relative_error(value, expected) <= allowed
        for one, other in zip(found, expected_gradients, strict=True):
            assert one.dtype == dtype
            assert relative_error(one, other) <= allowed


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_gradients_in_float64(case):
    check(case, "float64", ALLOWED["float64"])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_gradients_in_float32(case):
    check(case, "float32", ALLOWED["float32"])


def test_the_gradient_of_the_reference_equals_differences_of_its_value():
    for case in (
        Case(3, 4, passes=3, label_smoothing=0.1, weights="some zero", features=2),
        Case(3, 4, normalize="paper", features=2),
    ):
        arrays = case.arrays("float64")
        numeric = central_differences(lambda *xs, case=case: case.expected(*xs)[0], *arrays)
        for one, other in zip(case.expected(*arrays)[1], numeric, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("with_bias", [True, False])
def test_half_precision_is_no_worse_than_the_plain_composition_in_it(dtype, with_bias):
    """Root mean squares over seeds: of a single value the plain error may be nil by luck."""

    def errors(found, expected):
        pairs = zip([found[0], *found[1]], [expected[0], *expected[1]], strict=True)
        return [np.linalg.norm(x - y) / np.linalg.norm(y) for x, y in pairs]

    def in_half(function):
        return compiled(lambda *xs: function(*[ops.cast(x, dtype) for x in xs]))

    shape = {"chunk_size": 20, "with_bias": with_bias, "features": 32}
    functions = [
        in_half(f) for f in (Case(64, 507, **shape).computed, Case(64, 507, **shape).plain)
    ]
    squares = []
    for seed in range(8):
        case = Case(64, 507, seed=seed, **shape)
        arrays = case.arrays(dtype)
        expected = case.expected(*arrays)
        squares.append([errors(value_and_gradients(f, *arrays), expected) for f in functions])
    found, plain = np.sqrt(np.mean(np.square(squares), axis=0))
    assert np.all(found <= 1.05 * plain + 1e-7)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_kernel_in_float32_is_multiplied_in_the_dtype_of_the_hidden_states(dtype):
    hidden, kernel, bias = SMALL.arrays("float32")
    small = [ops.cast(x, dtype) for x in (hidden, kernel)]
    expected = loss(*small, bias)
    value, found = differentiated(
        lambda h, k, b: loss(ops.cast(h, dtype), k, b), *SMALL.arrays("float32")
    )
    assert value == pytest.approx(float(expected), rel=1e-6)
    assert [x.dtype for x in found] == ["float32"] * 3
    for one, other in zip(found, SMALL.expected(hidden, kernel, bias)[1], strict=True):
        assert relative_error(SMALL.upstream * one, other) < 0.03


# Identities


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("normalize", ["passes", "paper"])
def test_alpha_zero_is_the_cross_entropy_of_keras(normalize):
    logits = HIDDEN @ KERNEL + BIAS
    expected = sum(float(SPARSE(from_logits=True)(LABELS, z)) for z in logits)
    found = float(loss(HIDDEN, alpha=0.0, normalize=normalize))
    assert found == pytest.approx(expected / (2 if normalize == "passes" else 1), rel=1e-6)


@pytest.mark.usefixtures("float64")
def test_equal_passes_have_no_divergence():
    equal = np.stack([HIDDEN[0]] * 2)
    _, ce, divergence = loss(equal, return_terms=True)
    assert float(divergence) == 0
    assert float(ce) == pytest.approx(cross_entropy(equal), rel=1e-12)
    one = differentiated(partial(loss, alpha=5.0), equal, KERNEL, BIAS)
    other = differentiated(partial(loss, alpha=0.0), equal, KERNEL, BIAS)
    assert one[0] == other[0]
    for x, y in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-15)


@pytest.mark.usefixtures("float64")
def test_swapped_passes_swap_the_gradients():
    value, found = differentiated(loss, HIDDEN, KERNEL, BIAS)
    swapped, others = differentiated(loss, HIDDEN[::-1].copy(), KERNEL, BIAS)
    assert swapped == pytest.approx(float(value), rel=1e-14)
    np.testing.assert_allclose(others[0][::-1], found[0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(others[1], found[1], rtol=0, atol=1e-14)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("chunk_size", [1, 6, 7, 1000, None])
def test_any_chunk_size_gives_the_same(chunk_size):
    expected, gradients = differentiated(loss, HIDDEN, KERNEL, BIAS)
    value, found = differentiated(partial(loss, chunk_size=chunk_size), HIDDEN, KERNEL, BIAS)
    assert value == pytest.approx(float(expected), rel=1e-13)
    for one, other in zip(found, gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-14)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("junk", "label"), [(math.nan, -1), (math.inf, 11), (1e300, 10**6)])
def test_a_row_of_weight_zero_might_as_well_not_exist(junk, label):
    kept = np.array([0, 2, 3, 5])
    weight = np.isin(np.arange(7), kept) * 1.5
    hidden, labels = HIDDEN.copy(), LABELS.copy()
    hidden[:, weight == 0], labels[weight == 0] = junk, label
    weighted = partial(loss, labels=labels, sample_weight=weight)
    value, found = differentiated(weighted, hidden, KERNEL, BIAS)
    of_kept = partial(loss, labels=LABELS[kept])
    expected, gradients = differentiated(of_kept, HIDDEN[:, kept], KERNEL, BIAS)
    scale = 1.5 * 4 / 7
    assert value == pytest.approx(scale * float(expected), rel=1e-13)
    assert np.all(found[0][:, weight == 0] == 0)
    for one, other in zip([found[0][:, kept], *found[1:]], gradients, strict=True):
        np.testing.assert_allclose(one, scale * other, rtol=0, atol=1e-14)


@pytest.mark.usefixtures("float64")
def test_parts_of_the_rows_add_up():
    weight = np.random.default_rng(3).random(7)
    parts = (slice(0, 2), slice(2, 3), slice(3, 7))

    def in_parts(hidden, kernel, bias):
        return sum(
            (p.stop - p.start)
            / 7
            * loss(hidden[:, p], kernel, bias, LABELS[p], sample_weight=weight[p])
            for p in parts
        )

    expected, gradients = differentiated(partial(loss, sample_weight=weight), HIDDEN, KERNEL, BIAS)
    value, found = differentiated(in_parts, HIDDEN, KERNEL, BIAS)
    assert value == pytest.approx(float(expected), rel=1e-13)
    for one, other in zip(found, gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-14)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("ruled_out", [0, 4])
def test_a_bias_of_minus_infinity_rules_a_class_out(ruled_out):
    """Class 0 as well, the label of rows that fill a chunk up."""
    bias = BIAS.copy()
    bias[ruled_out] = -math.inf
    labels = np.where(ruled_out == LABELS, 7, LABELS)
    weight = np.array([1.0, 0, 1, 1, 1, 0, 2])
    options = {"sample_weight": weight}
    value, found = differentiated(partial(loss, labels=labels, **options), HIDDEN, KERNEL, bias)
    others = np.arange(11) != ruled_out
    fewer = labels - (labels > ruled_out)
    expected, gradients = differentiated(
        partial(loss, labels=fewer, **options), HIDDEN, KERNEL[:, others], BIAS[others]
    )
    assert value == pytest.approx(float(expected), rel=1e-13)
    np.testing.assert_allclose(found[0], gradients[0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(found[1][:, others], gradients[1], rtol=0, atol=1e-14)
    assert np.all(found[1][:, ruled_out] == 0)
    assert found[2][ruled_out] == 0


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_two_sure_passes_are_as_far_apart_as_their_logits(dtype):
    sure = np.array([[[60.0, 0, 0]], [[0, 60.0, 0]]], dtype)
    eye, labels = np.eye(3, dtype=dtype), np.array([0])

    def divergence(hidden):
        with_it, without = (linear_rdrop(hidden, eye, labels, alpha=a) for a in (2.0, 0.0))
        return with_it - without

    value, (found,) = differentiated(divergence, sure)
    assert value == pytest.approx(60, rel=1e-6)
    np.testing.assert_allclose(found[:, 0], [[0.5, -0.5, 0], [-0.5, 0.5, 0]], atol=1e-3)
    opposite = np.array([[[60.0, -60, 0]], [[-60, 60.0, 0]]], dtype)
    terms = linear_rdrop(opposite, eye, labels, alpha=1.0, return_terms=True)
    expected = float(symmetric_kl(opposite[0, 0], opposite[1, 0]))
    assert [float(x) for x in terms] == pytest.approx([60 + 60, 60, expected], rel=1e-6)


@pytest.mark.usefixtures("float64")
def test_the_terms_and_their_scale():
    for normalize, a, c in (("passes", 1, 1.0), ("paper", 2, 2.0)):
        total, ce, divergence = loss(HIDDEN, normalize=normalize, return_terms=True)
        assert float(total) == pytest.approx(float(a * ce + c * divergence), rel=1e-13)
        assert float(total) == float(loss(HIDDEN, normalize=normalize))
        assert float(ce) == pytest.approx(cross_entropy(HIDDEN), rel=1e-13)
        logits = HIDDEN @ KERNEL + BIAS
        expected = float(ops.mean(symmetric_kl(*logits)))
        assert float(divergence) == pytest.approx(expected, rel=1e-6)
    assert [x.shape for x in (total, ce, divergence)] == [()] * 3
    total, ce, divergence = loss(HIDDEN[:1], return_terms=True)
    assert float(total) == pytest.approx(float(ce), rel=1e-13)
    assert float(divergence) == 0


@pytest.mark.usefixtures("float64")
def test_the_terms_have_no_gradient_and_do_not_disturb_that_of_the_loss():
    def all_three(*arrays):
        total, ce, divergence = loss(*arrays, return_terms=True)
        return 3 * total + 5 * ce + 7 * divergence

    found = differentiated(all_three, HIDDEN, KERNEL, BIAS)[1]
    expected = differentiated(loss, HIDDEN, KERNEL, BIAS)[1]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, 3 * other, rtol=1e-13)


@pytest.mark.usefixtures("float64")
def test_a_kernel_that_is_used_elsewhere_too():
    def twice(hidden, kernel, bias):
        return loss(hidden @ kernel @ ops.transpose(kernel), kernel, bias) + ops.sum(kernel**3)

    def plain(hidden, kernel, bias):
        return SMALL.plain(
            hidden @ kernel @ ops.transpose(kernel), kernel, bias
        ) / SMALL.upstream + ops.sum(kernel**3)

    value, found = differentiated(twice, HIDDEN / 9, KERNEL, BIAS)
    expected, gradients = differentiated(plain, HIDDEN / 9, KERNEL, BIAS)
    assert relative_error(value, expected) < 1e-12
    for one, other in zip(found, gradients, strict=True):
        assert relative_error(one, other) < 1e-12


def test_no_rows_cost_nothing():
    value, found = differentiated(
        lambda h, k: linear_rdrop(h, k, np.zeros(0, "int32"), alpha=1.0),
        np.zeros((2, 0, 5), "float32"),
        KERNEL.astype("float32"),
    )
    assert value == 0
    assert np.all(found[1] == 0)


# Errors

ERRORS = [
    ({"alpha": -1.0}, "`alpha` must be finite and >= 0. Received: alpha=-1.0"),
    ({"alpha": "much"}, "`alpha` must be a number >= 0. Received: alpha='much'"),
    (
        {"normalize": "sum"},
        "`normalize` must be one of 'passes', 'paper'. Received: normalize='sum'",
    ),
    (
        {"label_smoothing": 1.5},
        "`label_smoothing` must be a share from 0 to 1. Received: label_smoothing=1.5",
    ),
    (
        {"chunk_size": 0},
        "`chunk_size` must be a whole number of rows >= 1, or None to choose it. "
        "Received: chunk_size=0",
    ),
    ({"chunk_size": 2.5}, "Received: chunk_size=2.5"),
    (
        {"hidden": HIDDEN[0]},
        "`linear_rdrop` takes hidden (passes, N, D), kernel (D, V), labels (N,) and bias (V,); "
        "put the axes of batch and time together first. Received: hidden of shape (7, 5), kernel "
        "(5, 11), labels (7,), bias (11,)",
    ),
    ({"bias": BIAS[None]}, "labels (7,), bias (1, 11)"),
    ({"hidden": HIDDEN[:0]}, "`hidden` needs a known number of passes, at least one. Received: "),
    (
        {"kernel": KERNEL.T.copy()},
        "The last axis of `hidden` must be the first of `kernel`; for the matrix of an embedding, "
        "(V, D), give its transpose. Received: hidden of shape (2, 7, 5), kernel (11, 5)",
    ),
    (
        {"labels": LABELS[:6]},
        "Each row of a pass needs one label. Received: hidden of shape (2, 7, 5)",
    ),
    ({"bias": BIAS[:3]}, "`bias` needs one value for each class of `kernel`. Received: "),
    (
        {"sample_weight": np.ones(3)},
        "Received: sample_weight of shape (3,) for losses of shape (7,)",
    ),
    (
        {"labels": LABELS + 20},
        "Labels must be whole numbers from 0 to 11 - 1, one for each of the 11",
    ),
    ({"labels": LABELS - 20}, f"Received: labels from {min(LABELS) - 20} to {max(LABELS) - 20}"),
]


@pytest.mark.parametrize(("arguments", "message"), ERRORS)
def test_an_error_says_the_rule_and_what_came_in(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        loss(**{"hidden": HIDDEN, **arguments})


# Compiled


def full_size_case():
    case = Case(24, 507, chunk_size=5, weights="some zero", label_smoothing=0.1, features=8)
    return case, case.passes * case.rows * case.classes


@pytest.mark.parametrize("differentiated", ["inside", "outside"])
@pytest.mark.parametrize("case", [CASES[1], CASES[7]], ids=str)
def test_compiled_by_xla_it_gives_the_same(case, differentiated):
    """JAX may differentiate a compiled function, or compile a differentiated one."""
    compiler = needs_compiler()
    if compiler is None:
        pytest.skip("Torch compiles nothing here")
    arrays = case.arrays("float32")
    if differentiated == "outside":
        value, found = value_and_gradients(compiler(case.computed), *arrays)
    else:
        value, found = compiler(value_and_gradients_of(case.computed))(*arrays)
    expected, gradients = case.expected(*arrays)
    assert relative_error(value, expected) <= 1e-5
    for one, other in zip(found, gradients, strict=True):
        assert relative_error(one, other) <= 1e-5


def value_and_gradients_of(function):
    """Returns a function of tensors that can be compiled."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.value_and_grad(function, (0, 1, 2))
    import tensorflow as tf

    def both(*arrays):
        tensors = [tf.convert_to_tensor(x) for x in arrays]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        return value, tape.gradient(value, tensors)

    return both


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_one_trace_serves_any_number_of_rows(jit_compile):
    import tensorflow as tf

    traces = []
    specs = [tf.TensorSpec([2, None, 5], tf.float64), tf.TensorSpec([None], tf.int32)]

    @tf.function(input_signature=specs, jit_compile=jit_compile, autograph=False)
    def step(hidden, labels):
        traces.append(1)
        of = partial(loss, labels=labels)
        return value_and_gradients_of(of)(hidden, KERNEL, BIAS)

    for rows in (7, 1, 3, 10):
        case = Case(rows, 11)
        value, found = step(case.arrays("float64")[0], case.labels())
        expected, gradients = truth(
            case.arrays("float64")[0], KERNEL, BIAS, labels=case.labels(), alpha=2.0
        )
        assert relative_error(value, expected) <= 1e-10
        for one, other in zip(found, gradients, strict=True):
            assert relative_error(one, other) <= 1e-10
    assert len(traces) == 1


def test_no_logits_of_all_rows_in_code_that_xla_compiled():
    case, whole = full_size_case()
    if keras.backend.backend() == "torch":
        pytest.skip("Torch compiles nothing here")
    assert max(sizes_of_xla(case.computed, case)) < whole
    assert max(sizes_of_xla(case.plain, case)) >= whole


def sizes_of_xla(function, case):
    arrays = case.arrays("float32")
    both = value_and_gradients_of(function)
    if keras.backend.backend() == "jax":
        import jax

        text = jax.jit(both).lower(*arrays).compile().as_text()
    else:
        import tensorflow as tf

        of = tf.function(both, jit_compile=True, autograph=False)
        text = of.experimental_get_compiler_ir(*[tf.constant(x) for x in arrays])("optimized_hlo")
    shapes = re.findall(r"\b(?:f|s|u|pred)\d*\[([\d,]+)\]", text)
    return [math.prod(map(int, shape.split(","))) for shape in shapes]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="needs JAX")
def test_no_logits_of_all_rows_in_the_program_of_jax():
    case, whole = full_size_case()
    assert max(sizes_of_jaxpr(case.computed, case)) < whole
    assert max(sizes_of_jaxpr(case.plain, case)) >= whole


def sizes_of_jaxpr(function, case):
    import jax

    both = jax.jit(jax.value_and_grad(function, (0, 1, 2)))
    pending, sizes = [jax.make_jaxpr(both)(*case.arrays("float32")).jaxpr], []
    while pending:
        jaxpr = pending.pop()
        sizes += [v.aval.size for eqn in jaxpr.eqns for v in eqn.outvars]
        for eqn in jaxpr.eqns:
            for x in jax.tree_util.tree_leaves(
                list(eqn.params.values()),
                is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr"),
            ):
                inner = getattr(x, "jaxpr", x)
                pending += [inner] if hasattr(inner, "eqns") else []
    return sizes


@pytest.mark.tensorflow
def test_no_logits_of_all_rows_in_the_graph_of_tensorflow():
    case, whole = full_size_case()
    sizes, loops = sizes_of_graph(case.computed, case)
    assert max(sizes) < whole
    # A second loop would be that of a gradient, with the logits of the first kept for it.
    assert loops == 1
    assert max(sizes_of_graph(case.plain, case)[0]) >= whole


def sizes_of_graph(function, case):
    import tensorflow as tf

    of = tf.function(value_and_gradients_of(function), autograph=False)
    arrays = [tf.constant(x) for x in case.arrays("float32")]
    pending, sizes, loops = [of.get_concrete_function(*arrays).graph], [], 0
    while pending:
        graph = pending.pop()
        for op in graph.get_operations():
            sizes += [x.shape.num_elements() or 0 for x in op.outputs]
            if op.type in ("While", "StatelessWhile"):
                loops += 1
                # The shapes within: those of a graph, which a function's definition leaves out.
                pending.append(graph._get_function(op.get_attr("body").name).graph)
    return sizes, loops


@pytest.mark.tensorflow
def test_variables_are_taken_and_get_the_gradient():
    import tensorflow as tf

    kernel, bias = keras.Variable(KERNEL), keras.Variable(BIAS)
    value, expected = differentiated(loss, HIDDEN, KERNEL, BIAS)
    with tf.GradientTape() as tape:
        found = loss(HIDDEN, kernel, bias)
    assert float(found) == pytest.approx(float(value), rel=1e-12)
    gradients = tape.gradient(found, [kernel.value, bias.value])
    for gradient, one in zip(gradients, expected[1:], strict=True):
        np.testing.assert_allclose(gradient, one, rtol=1e-10, atol=1e-12)


def test_whole_numbers_of_numpy_are_whole_numbers():
    assert float(loss(HIDDEN, chunk_size=np.int64(3))) == float(loss(HIDDEN, chunk_size=3))
    half = {name: kind(0.5) for name, kind in (("a", float), ("b", np.float32))}
    found = [float(loss(HIDDEN, label_smoothing=one)) for one in half.values()]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"label_smoothing": "a"}, r"`label_smoothing` must be a share.*label_smoothing='a'"),
        ({"chunk_size": True}, r"`chunk_size` must be a whole number.*chunk_size=True"),
        ({"labels": LABELS + 0.5}, r"`labels` must be classes, whole numbers. Received: dtype"),
    ],
)
def test_arguments_of_a_wrong_kind_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        loss(HIDDEN, **options)
