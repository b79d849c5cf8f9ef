"""The forward strategies: same numbers, own noise, nothing lost, nothing changed."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from rdrop_tf import RDropModel
from rdrop_tf._keras import get_mask
from rdrop_tf.models.passes import run_passes, split_rows, stack_batches
from tests.models import noisy, zoo


class PassScale(layers.Layer):
    """Multiplies by 1, 3, 1, 3, ... from call to call in training: noise one can repeat."""

    def __init__(self) -> None:
        super().__init__()
        self.supports_masking = True
        self.calls = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if not training:
            return x
        odd = ops.cast(self.calls % 2, "float32")
        self.calls.assign(self.calls + 1)
        return x * (1.0 + 2.0 * odd)


@pytest.mark.parametrize("forward", ["two_calls", "concat"])
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_every_pass_equals_one_call_without_noise(forward: str, passes: int) -> None:
    model = zoo.functional(0.0)
    x, _ = zoo.features()
    found = run_passes(model, [x] * passes, forward)
    assert len(found.predictions) == passes
    for prediction in found.predictions:
        np.testing.assert_allclose(
            ops.convert_to_numpy(prediction), ops.convert_to_numpy(model(x)), atol=1e-6
        )


@pytest.mark.parametrize("forward", ["two_calls", "concat"])
def test_every_pass_draws_its_own_mask(forward: str) -> None:
    model = keras.Sequential([keras.Input((500,)), layers.Dropout(0.5, seed=1)])
    found = run_passes(model, [np.ones((2, 500), "float32")] * 3, forward)
    masks = [ops.convert_to_numpy(p) > 0 for p in found.predictions]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert 0.4 < np.mean(masks[a] == masks[b]) < 0.6, "equal by chance only"


def test_separate_calls_keep_the_state_of_the_first_pass() -> None:
    """BatchNorm statistics move once a step, as in plain training."""
    x, _ = zoo.features()
    plain, twice = zoo.batch_norm(0.0), zoo.batch_norm(0.0)
    twice.set_weights(plain.get_weights())
    plain(x, training=True)
    run_passes(twice, [x] * 3, "two_calls")
    assert zoo.largest_difference(plain, twice) == 0.0


def test_separate_calls_move_on_what_noise_is_drawn_from() -> None:
    layer = PassScale()
    model = keras.Sequential([keras.Input((2,)), layer])
    first, second = run_passes(model, [np.ones((1, 2), "float32")] * 2, "two_calls").predictions
    assert int(layer.calls) == 2
    np.testing.assert_allclose(ops.convert_to_numpy(second), 3 * ops.convert_to_numpy(first))


@pytest.mark.parametrize("forward", ["two_calls", "concat"])
def test_added_losses_count_once(forward: str) -> None:
    model = zoo.regularised(0.0)
    x, _ = zoo.features()
    model(x, training=True)
    expected = float(sum(ops.convert_to_numpy(loss) for loss in model.losses))
    found = run_passes(model, [x] * 2, forward)
    assert float(ops.convert_to_numpy(found.added_loss)) == pytest.approx(expected, rel=1e-6)


def test_concat_never_changes_the_batch() -> None:
    x = {"a": np.arange(6.0).reshape(3, 2), "b": [np.arange(3), None]}
    before = keras.tree.map_structure(np.copy, {"a": x["a"], "b": x["b"][0]})
    repeated = stack_batches([x, x])
    np.testing.assert_array_equal(repeated["a"], np.concatenate([x["a"], x["a"]]))
    assert repeated["b"][1] is None
    np.testing.assert_array_equal(x["a"], before["a"])
    np.testing.assert_array_equal(x["b"][0], before["b"])


def test_concat_hands_masks_on() -> None:
    model = zoo.masked(0.0)
    ids, _ = zoo.tokens()
    found = run_passes(model, [ops.convert_to_tensor(ids)] * 2, "concat")
    for prediction in found.predictions:
        np.testing.assert_array_equal(ops.convert_to_numpy(get_mask(prediction)), ids != 0)


@pytest.mark.tensorflow
def test_concat_takes_strings_ragged_sparse_and_bool() -> None:
    import tensorflow as tf

    ragged = tf.ragged.constant([[1, 2], [3]])
    sparse = tf.sparse.from_dense([[0, 1], [2, 0]])
    x = [tf.constant(["a", "b"]), ragged, sparse, tf.constant([True, False])]
    found = stack_batches([x, x])
    assert found[0].numpy().tolist() == [b"a", b"b", b"a", b"b"]
    assert found[1].to_list() == [[1, 2], [3], [1, 2], [3]]
    np.testing.assert_array_equal(tf.sparse.to_dense(found[2]), [[0, 1], [2, 0]] * 2)
    assert found[3].numpy().tolist() == [True, False, True, False]


def test_concat_refuses_inputs_without_a_batch() -> None:
    with pytest.raises(ValueError, match=r"needs inputs with a batch axis. Received: .*shape \(\)"):
        stack_batches([[np.float32(1.0)]] * 2)


def test_concat_refuses_outputs_that_are_not_by_row() -> None:
    with pytest.raises(
        ValueError, match=r"one row for each row .*shape \(4, 2\) for 2 times 3 rows"
    ):
        split_rows(np.zeros((4, 2)), 3, 2)


@pytest.mark.filterwarnings("ignore:No noise")
def test_the_strategies_train_alike() -> None:
    weights = []
    for forward in ("two_calls", "concat"):
        case = zoo.CASES["mask"]
        model, _ = zoo.train(case, 0.0, lambda m, f=forward: RDropModel(m, alpha=5.0, forward=f))
        weights.append(model)
    assert zoo.largest_difference(*weights) <= 1e-6


@pytest.mark.one_backend
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX refuses this generator")
@pytest.mark.parametrize("layer", [noisy.GlobalNoise, noisy.DropPath])
@pytest.mark.parametrize("forward", ["two_calls", "shared_prefix"])
def test_generators_that_are_none_of_the_model_move_on_too(layer: Any, forward: str) -> None:
    """Each pass of each step draws noise of its own."""
    keras.utils.set_random_seed(0)
    x = keras.Input((64,))
    made = layer() if layer is noisy.GlobalNoise else layer(0.5)
    model = keras.Model(x, made(x))
    data = ops.ones((32, 64))
    found = [run_passes(model, [data] * 3, forward).predictions for _ in range(2)]
    masks = [ops.convert_to_numpy(one) for step in found for one in step]
    assert len({mask.tobytes() for mask in masks}) == 6
