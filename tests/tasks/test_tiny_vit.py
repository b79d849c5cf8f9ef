from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf.tasks import tiny_vit
from rdrop_tf.tasks.tiny_vit import _patches

SIZES: dict[str, Any] = {
    "image_size": 6,
    "patch_size": 2,
    "max_pixel": 16,
    "num_classes": 4,
    "depth": 2,
    "width": 8,
    "heads": 2,
    "hidden": 12,
    "dropout": 0.1,
}


def test_a_patch_holds_neighbours() -> None:
    pixels = np.arange(36, dtype="float32").reshape(1, 6, 6, 1)
    patches = keras.ops.convert_to_numpy(_patches(pixels, 2))
    assert patches.shape == (1, 9, 4)
    np.testing.assert_array_equal(patches[0, 0], [0, 1, 6, 7])
    np.testing.assert_array_equal(patches[0, 5], [16, 17, 22, 23])


def test_a_patch_holds_every_channel_of_its_pixels() -> None:
    pixels = np.arange(108, dtype="float32").reshape(1, 6, 6, 3)
    patches = keras.ops.convert_to_numpy(_patches(pixels, 2))
    np.testing.assert_array_equal(patches[0, 5], pixels[0, 2:4, 4:6].ravel())


def test_colour_images_have_more_numbers_a_pixel() -> None:
    model = tiny_vit(**SIZES, channels=3)
    assert model.input_shape == (None, 6, 6, 3)
    assert model.get_layer("patch_and_position_embedding").kernel.shape == (12, 8)
    images = np.random.default_rng(0).integers(0, 17, (2, 6, 6, 3), dtype="uint8")
    assert model(images).shape == (2, 4)


def test_every_position_has_an_embedding_of_its_own() -> None:
    model = tiny_vit(**SIZES)
    bias = model.get_layer("patch_and_position_embedding").bias
    assert bias.shape == (9, 8)
    assert float(keras.ops.std(bias)) == pytest.approx(0.02, rel=0.4)


def test_the_order_of_the_patches_matters() -> None:
    model = tiny_vit(**SIZES)
    image = np.random.default_rng(0).uniform(0, 16, (1, 6, 6, 1)).astype("float32")
    assert not np.allclose(model(image), model(image[:, ::-1]), atol=1e-5)


def test_dropout_acts_where_it_should() -> None:
    model = tiny_vit(**SIZES)
    # One behind the embedding; in each layer on the attention weights, behind the attention,
    # on the hidden units and behind them.
    states = [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
    assert len(states) == 1 + 2 * 4
    x = np.ones((1, 6, 6, 1), "float32")
    assert not np.allclose(model(x, training=True), model(x, training=True))
    np.testing.assert_array_equal(model(x), model(x))


def test_pixels_are_scaled_by_the_largest() -> None:
    keras.utils.set_random_seed(0)
    sixteen = tiny_vit(**SIZES)
    keras.utils.set_random_seed(0)
    one = tiny_vit(**{**SIZES, "max_pixel": 1})
    x = np.random.default_rng(0).uniform(0, 1, (3, 6, 6, 1)).astype("float32")
    np.testing.assert_allclose(sixteen(16 * x), one(x), rtol=1e-5, atol=1e-6)


def test_saved_models_load_with_plain_keras(tmp_path: Any) -> None:
    model = tiny_vit(**SIZES)
    model.save(tmp_path / "vit.keras")
    loaded = keras.saving.load_model(tmp_path / "vit.keras")
    x = np.random.default_rng(0).uniform(0, 16, (3, 6, 6, 1))
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    layers = {type(layer).__module__.split(".")[0] for layer in model.layers}
    assert layers == {"keras"}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            {"patch_size": 4},
            "patch_size must divide image_size; got patch_size=4 and image_size=6: choose a div",
        ),
        ({"patch_size": 0}, "patch_size must divide image_size; got patch_size=0"),
        ({"heads": 3}, "heads must divide width; got heads=3 and width=8: choose a divisor of 8"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, int], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        tiny_vit(**{**SIZES, **wrong})
