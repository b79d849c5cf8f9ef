"""Made-up values: the shape and dtype asked for, in the range that layers take."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from rdrop_tf.models.graphs import nodes_of
from rdrop_tf.models.made_up import outputs_like, tensor_like, weights_like
from tests.models import noisy

pytestmark = pytest.mark.one_backend

FLOATS = ("float16", "bfloat16", "float32")
INTEGERS = ("int8", "uint8", "int32", "uint32")


def array(x: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(x))


def dtype(x: Any) -> str:
    return str(keras.backend.standardize_dtype(x.dtype))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((None, 3), (4, 3)),
        ((2, 3), (2, 3)),
        ((None, None), (4, 7)),
        ((1, None, 5, None), (1, 7, 5, 7)),
        ((None,), (4,)),
        ((), ()),
        ((None, 0), (4, 0)),
    ],
)
@pytest.mark.parametrize("name", ["float32", "int32", "bool"])
def test_unknown_dimensions_get_the_length_and_the_batch_a_few_rows(
    name: str, shape: tuple[int | None, ...], expected: tuple[int, ...]
) -> None:
    assert tuple(tensor_like(keras.KerasTensor(shape, name), 7).shape) == expected


@pytest.mark.parametrize("name", FLOATS)
def test_floats_are_numbers_from_0_to_1_that_differ(name: str) -> None:
    x = tensor_like(keras.KerasTensor((None, 50), name), 7)
    assert dtype(x) == name
    values = array(ops.cast(x, "float32"))
    assert values.min() >= 0.0
    assert values.max() <= 1.0
    assert values.std() > 0.2
    assert len(np.unique(values, axis=0)) == len(values)


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_are_ids_that_every_table_has(name: str) -> None:
    x = tensor_like(keras.KerasTensor((None, 5), name), 7)
    assert dtype(x) == name
    np.testing.assert_array_equal(array(x).ravel(), [0, 1] * 10)


def test_masks_keep_everything() -> None:
    x = tensor_like(keras.KerasTensor((None, 5), "bool"), 7)
    assert dtype(x) == "bool"
    assert array(x).all()


@pytest.mark.tensorflow
def test_strings() -> None:
    x = tensor_like(keras.Input((None,), dtype="string"), 3)
    assert array(x).tolist() == [[b"a"] * 3] * 4


@pytest.mark.parametrize("kind", ["sparse", "ragged"])
def test_sparse_and_ragged_tensors_are_refused(kind: str) -> None:
    x = keras.KerasTensor((None, 3), "float32", name="bag", **{kind: True})
    with pytest.raises(NotImplementedError, match="a sparse or ragged tensor, bag"):
        tensor_like(x, 7)


def test_a_model_with_inputs_by_name_takes_them() -> None:
    inputs = {
        "size": keras.Input((), name="size"),
        "ids": keras.Input((None,), dtype="int32", name="ids"),
        "keep": keras.Input((None,), dtype="bool", name="keep"),
    }
    kept = ops.cast(ops.expand_dims(inputs["keep"], -1), "float32")
    h = layers.Embedding(2, 3)(inputs["ids"]) * kept
    h = ops.sum(h, axis=1) * ops.expand_dims(inputs["size"], -1)
    model = keras.Model(inputs, h)
    outputs = array(model({name: tensor_like(x, 6) for name, x in inputs.items()}))
    assert outputs.shape == (4, 3)
    assert np.isfinite(outputs).all()
    assert outputs.std() > 0


def test_all_outputs_of_a_node() -> None:
    x = keras.Input((None, 3))
    sequence, *states = layers.LSTM(5, return_sequences=True, return_state=True)(x)
    (node,) = nodes_of(keras.Model(x, [sequence, *states]))
    assert [tuple(y.shape) for y in outputs_like(node, 7)] == [(4, 7, 5), (4, 5), (4, 5)]


def weights_of(layer: layers.Layer, shape: tuple[int | None, ...]) -> dict[str, np.ndarray]:
    layer.build(shape)
    made = weights_like(layer)
    known = [*layer.trainable_variables, *layer.non_trainable_variables]
    assert [id(variable) for variable, _ in made] == [id(variable) for variable in known]
    for variable, value in made:
        assert tuple(value.shape) == tuple(variable.shape)
        assert dtype(value) == keras.backend.standardize_dtype(variable.dtype)
    return {variable.name: array(ops.cast(value, "float32")) for variable, value in made}


@pytest.mark.parametrize(
    ("layer", "shape", "fan_in"),
    [
        (layers.Dense(64, kernel_initializer="zeros"), (None, 300), 300),
        (layers.Conv2D(32, 3), (None, 8, 8, 16), 9 * 16),
        (layers.Dense(64, dtype="bfloat16"), (None, 300), 300),
    ],
)
def test_kernels_keep_the_size_of_what_they_are_applied_to(
    layer: layers.Layer, shape: tuple[int | None, ...], fan_in: int
) -> None:
    kernel = weights_of(layer, shape)["kernel"]
    assert np.sqrt(np.mean(np.square(kernel)) * fan_in) == pytest.approx(1.0, abs=0.05)
    assert np.all(kernel != 0.0)


def test_rows_of_large_kernels_do_not_repeat() -> None:
    kernel = weights_of(layers.Dense(512), (None, 512))["kernel"]
    assert np.linalg.matrix_rank(kernel) == 512


@pytest.mark.parametrize("trainable", [True, False])
def test_scales_biases_and_variances_are_positive(trainable: bool) -> None:
    layer = layers.BatchNormalization(trainable=trainable)
    made = weights_of(layer, (None, 40))
    assert sorted(made) == ["beta", "gamma", "moving_mean", "moving_variance"]
    for values in made.values():
        assert values.min() >= 0.5
        assert values.max() < 1.5


def test_a_scale_that_starts_at_0_does_not_hide_what_it_scales() -> None:
    made = weights_of(noisy.HiddenNoise(), (None, 8))
    assert [bool(value > 0) for value in made.values()] == [True]


def test_integers_that_noise_is_drawn_from_start_at_0() -> None:
    ((_, state),) = weights_of(layers.Dropout(0.5, seed=7), (None, 8)).items()
    np.testing.assert_array_equal(state, [0, 0])


def test_values_are_the_same_each_time_and_touch_no_generator() -> None:
    before = np.random.get_state()[1].tolist()
    x = keras.KerasTensor((None, 9), "float32")
    dense = layers.Dense(5)
    dense.build((None, 9))
    first = [array(tensor_like(x, 7)), *(array(value) for _, value in weights_like(dense))]
    second = [array(tensor_like(x, 7)), *(array(value) for _, value in weights_like(dense))]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.random.get_state()[1].tolist() == before
