"""A SavedModel trains as a layer of a Keras model, alone and with two passes."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from rdrop_tf import RDropModel
from rdrop_tf.layers import SavedModelLayer
from tests.layers import saved_models

pytestmark = pytest.mark.tensorflow

FORWARDS = ["two_calls", "concat"]


def classifier(encoder: Any, shape: tuple[int, ...], dtype: str) -> keras.Model:
    x = keras.Input(shape, dtype=dtype)
    initializer = keras.initializers.GlorotUniform(seed=3)
    head = layers.Dense(saved_models.CLASSES, kernel_initializer=initializer, name="head")
    return keras.Model(x, head(encoder(x)))


def text_classifier(folder: str, **options: Any) -> keras.Model:
    encoder = SavedModelLayer(folder, name="saved", **options)
    return classifier(encoder, (saved_models.TOKENS,), "string")


def id_classifier(encoder: Any) -> keras.Model:
    return classifier(encoder, (saved_models.TOKENS,), "int32")


def compiled(model: keras.Model, **options: Any) -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, **options)
    return model


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Weights by path, whether a SavedModel layer or the layers of Keras hold them."""

    def name(path: str) -> str:
        return path.replace("/", "_").removeprefix("saved_").removeprefix("encoder_")

    state = "seed_generator_state"  # a weight of the SavedModel's, not one of Keras' layers
    kept = [v for v in model.weights if not v.path.endswith(state)]
    return {name(v.path): np.array(ops.convert_to_numpy(v)) for v in kept}


def strings(data: tuple[np.ndarray, np.ndarray]) -> tuple[Any, Any]:
    import tensorflow as tf

    return tf.constant(data[0]), tf.constant(data[1])


# Training


@pytest.mark.parametrize("forward", FORWARDS)
def test_strings_an_embedding_statistics_and_dropout_train(tmp_path: Path, forward: str) -> None:
    model = text_classifier(saved_models.text_encoder(tmp_path / "text"))
    before = weights(model)
    rdrop = compiled(RDropModel(model, forward=forward))
    logs = rdrop.fit(*strings(saved_models.texts()), batch_size=8, epochs=3, verbose=0).history
    after = weights(model)
    assert set(after) == {"table", "dense_kernel", "norm_mean", "head_kernel", "head_bias"}
    assert all(np.abs(after[name] - before[name]).max() > 1e-3 for name in after)
    assert min(logs["kl"]) > 1e-4
    assert logs["ce"][-1] < logs["ce"][0]


@pytest.mark.parametrize(
    ("forward", "jit_compile", "tensor_training"),
    [
        ("two_calls", False, True),
        ("two_calls", True, False),
        ("concat", True, False),
    ],
)
def test_training_equals_that_of_the_same_layers_in_keras(
    tmp_path: Path, forward: str, jit_compile: bool, tensor_training: bool
) -> None:
    """The SavedModel keeps the seed of its dropout, so that even the masks are the same."""
    encoder = saved_models.keras_encoder()
    folder = saved_models.keras_module(tmp_path / "encoder", encoder, tensor_training)
    expected, model = id_classifier(encoder), id_classifier(SavedModelLayer(folder, name="saved"))
    logs = []
    for one in (expected, model):
        rdrop = compiled(RDropModel(one, alpha=2.0, forward=forward), jit_compile=jit_compile)
        data = saved_models.ids(16)
        logs.append(rdrop.fit(*data, batch_size=8, shuffle=False, verbose=0).history)
    assert logs[0]["kl"][0] > 1e-3
    for key in ("loss", "ce", "kl"):
        np.testing.assert_allclose(logs[1][key], logs[0][key], rtol=1e-5)
    same_weights(model, expected)


def test_gradients_equal_those_of_the_same_layers_in_keras(tmp_path: Path) -> None:
    import tensorflow as tf

    encoder = saved_models.keras_encoder()
    layer = SavedModelLayer(saved_models.keras_module(tmp_path / "encoder", encoder))
    x, _ = saved_models.ids()
    gradients = []
    for one in (encoder, layer):
        with tf.GradientTape() as tape:
            loss = ops.sum(ops.square(one(tf.constant(x, "int32"), training=True)))
        found = tape.gradient(loss, [v.value for v in one.trainable_variables])
        gradients.append([tf.convert_to_tensor(g).numpy() for g in found])
    assert len(gradients[0]) == 5
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6)
        assert np.abs(a).max() > 1e-3


def same_weights(model: keras.Model, expected: keras.Model) -> None:
    found, wanted = weights(model), weights(expected)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_keras_export_with_two_endpoints(tmp_path: Path) -> None:
    folder = saved_models.keras_export(tmp_path / "export", saved_models.keras_encoder())
    layer = SavedModelLayer(folder, endpoint="serve", training_endpoint="train", name="saved")
    x = saved_models.ids()[0].astype("int32")
    same, seen = saved_models.keras_encoder(), []
    for _ in range(2):
        np.testing.assert_allclose(layer(x, training=True), same(x, training=True), atol=1e-5)
        seen.append(layer(x))
        np.testing.assert_allclose(seen[-1], same(x), atol=1e-5)
    assert np.any(seen[0] != seen[1]), "the statistics have moved"
    assert len(layer.trainable_variables) == 5


def test_twenty_steps_and_a_ragged_batch_trace_twice_at_most(tmp_path: Path) -> None:
    layer = SavedModelLayer(saved_models.text_encoder(tmp_path / "text"), name="saved")
    model = classifier(layer, (saved_models.TOKENS,), "string")
    rdrop = compiled(RDropModel(model))
    traces: list[Any] = []
    step = rdrop.train_step
    rdrop.train_step = lambda data: traces.append(data) or step(data)
    rdrop.fit(*strings(saved_models.texts(20 * 4 - 1)), batch_size=4, verbose=0)
    assert len(traces) <= 2


def test_float16_features_and_head_around_a_float32_saved_model(tmp_path: Path) -> None:
    x = keras.Input((saved_models.WIDTH,))
    h = layers.Dense(saved_models.WIDTH, dtype="mixed_float16")(x)
    h = SavedModelLayer(saved_models.noise(tmp_path / "noise"), name="saved")(h)
    assert h.dtype == "float32"
    model = keras.Model(x, layers.Dense(saved_models.CLASSES, dtype="mixed_float16")(h))
    logs = compiled(RDropModel(model)).fit(*saved_models.features(), verbose=0).history
    assert logs["kl"][0] > 1e-4


def test_a_list_of_trainable_variables_is_what_trains(tmp_path: Path) -> None:
    """Reusable SavedModels list theirs; one that is left out stays as it is."""
    import tensorflow as tf

    class Reusable(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.bias = tf.Variable(2.0, name="a"), tf.Variable(1.0, name="a")
            self.variables_, self.trained = [self.scale, self.bias], [self.scale]
            self.penalty = tf.function(lambda: 0.5 * self.scale**2, input_signature=[])

        @tf.function
        def __call__(self, x: Any, training: bool = False) -> Any:
            return (tf.nn.dropout(x, 0.5) if training else x) * self.scale + self.bias

    module = Reusable()
    root = tf.train.Checkpoint()  # tf.Module has a property of the name `trainable_variables`
    root.trainable_variables, root.regularization_losses = module.trained, [module.penalty]
    root.__call__, root.kept = module.__call__, module
    for training in (False, True):
        module.__call__.get_concrete_function(tf.TensorSpec([None, 3]), training=training)
    tf.saved_model.save(root, str(tmp_path / "reusable"))

    layer = SavedModelLayer(tmp_path / "reusable", name="saved")
    assert [v.path for v in layer.trainable_variables] == ["saved/a"]
    assert [v.path for v in layer.non_trainable_variables] == ["saved/a_1"]
    layer(np.ones((2, 3), "float32"))
    (loss,) = layer.losses
    assert float(loss) == 2.0
    layer.trainable = False
    layer(np.ones((2, 3), "float32"))
    assert layer.losses == []


def test_a_tf_keras_model(tmp_path: Path) -> None:
    """An embedding, BatchNorm, dropout and a regularizer, saved by Keras 2."""
    tf_keras = pytest.importorskip("tf_keras", reason="needs tf_keras")
    old = tf_keras.Sequential(
        [
            tf_keras.layers.Input((saved_models.TOKENS,), dtype="int32"),
            tf_keras.layers.Embedding(5, saved_models.WIDTH),
            tf_keras.layers.GlobalAveragePooling1D(),
            tf_keras.layers.BatchNormalization(momentum=0.8),
            tf_keras.layers.Dense(saved_models.WIDTH, "tanh", kernel_regularizer="l2"),
            tf_keras.layers.Dropout(0.4),
        ]
    )
    old.save(tmp_path / "old", save_format="tf")
    layer = SavedModelLayer(tmp_path / "old", name="saved")
    assert layer.draws_noise, "in a function that the SavedModel's function calls"
    model = id_classifier(layer)
    x, y = saved_models.ids()
    np.testing.assert_allclose(layer(x.astype("int32")), old(x), rtol=1e-5, atol=1e-6)
    before = weights(model)
    logs = compiled(RDropModel(model)).fit(x, y, batch_size=8, verbose=0).history
    assert logs["kl"][0] > 1e-4
    assert not any(np.array_equal(v, before[name]) for name, v in weights(model).items())
    layer(x.astype("int32"))
    (penalty,) = layer.losses
    (kernel,) = (v for v in layer.trainable_variables if "dense" in v.path and "kernel" in v.path)
    assert float(penalty) == pytest.approx(0.01 * float(ops.sum(ops.square(kernel))))
