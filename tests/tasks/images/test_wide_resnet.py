from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf.tasks.images import wide_resnet

SMALL: dict[str, Any] = {
    "image_size": 8,
    "num_classes": 4,
    "depth": 10,
    "width": 1,
    "dropout": 0.3,
}


def _trainable(depth: int, width: int, num_classes: int = 10) -> int:
    # In this scope variables have shapes and no values, so the largest take no room.
    with keras.StatelessScope():
        model = wide_resnet(
            image_size=32, num_classes=num_classes, depth=depth, width=width, dropout=0.3
        )
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


@pytest.mark.parametrize(
    ("depth", "width", "millions"),
    # Table 4 of the paper, but for 16-4, which is the size its later users name.
    [
        (40, 1, 0.6),
        (40, 2, 2.2),
        (28, 10, 36.5),
        (16, 8, 11.0),
        (16, 4, 2.7),
    ],
)
def test_sizes_are_the_papers(depth: int, width: int, millions: float) -> None:
    assert _trainable(depth, width) / 1e6 == pytest.approx(millions, abs=0.0501)


def test_the_size_of_28_10_is_exact() -> None:
    # The count of the authors' model with 10 classes.
    assert _trainable(28, 10) == 36_479_194


def test_the_depth_is_the_number_of_convolutions() -> None:
    model = wide_resnet(**{**SMALL, "depth": 16})
    three = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel_size == (3, 3)
    ]
    # The paper counts the three convolutions that lead around a group's first block.
    assert len(three) + 3 == 16
    dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert [layer.rate for layer in dropouts] == [0.3] * 6


def test_dropout_lies_between_the_convolutions_of_a_block() -> None:
    model = wide_resnet(**SMALL)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            (consumer,) = [node.operation for node in layer._outbound_nodes]
            assert isinstance(consumer, keras.layers.Conv2D)
            assert isinstance(layer.input._keras_history.operation, keras.layers.ReLU)


def test_training_passes_differ_and_others_do_not() -> None:
    model = wide_resnet(**SMALL)
    x = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    assert not np.allclose(model(x, training=True), model(x, training=True))
    np.testing.assert_array_equal(model(x), model(x))


def test_bytes_and_floats_are_the_same_pixels() -> None:
    model = wide_resnet(**SMALL)
    x = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), model.predict(x.astype("float32"), verbose=0)
    )
    scaled = keras.Model(model.input, model.layers[1].output)(x)
    np.testing.assert_allclose(scaled, x / 127.5 - 1, atol=1e-6)


def test_it_learns_a_few_images_by_heart() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (16, 8, 8, 3), dtype=np.uint8), rng.integers(0, 4, 16)
    model = wide_resnet(**SMALL, channels=3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    history = model.fit(x, y, batch_size=16, epochs=25, verbose=0).history
    assert history["loss"][0] > 1
    assert history["loss"][-1] < 0.2
    assert history["accuracy"][-1] == 1


def test_saved_models_load_with_plain_keras(tmp_path: Any) -> None:
    model = wide_resnet(**SMALL, channels=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}


@pytest.mark.parametrize("depth", [4, 11, 18, 0, -2])
def test_a_depth_that_is_none_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"depth must be 6n \+ 4.*; got depth={depth}: choose 10"):
        wide_resnet(**{**SMALL, "depth": depth})


def test_no_width_is_refused() -> None:
    with pytest.raises(ValueError, match="width must be 1 or more; got width=0"):
        wide_resnet(**{**SMALL, "width": 0})
