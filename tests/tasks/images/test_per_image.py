from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from rdrop_tf.tasks.images.draws import Draws
from rdrop_tf.tasks.images.per_image import ExactCutMix, MixUp, PaddedCrop, PerImageRandAugment

ROWS, SIZE = 12, 16


def _images() -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (ROWS, SIZE, SIZE, 3)).astype("float32")


def _numpy(value: Any) -> NDArray[Any]:
    return keras.ops.convert_to_numpy(value)


def test_every_image_gets_the_two_operations_it_drew() -> None:
    layer = PerImageRandAugment(0.3)
    drawn = layer.get_random_transformation(_images(), seed=Draws(0, 0))
    chosen = _numpy(drawn["layer_idxes"]).reshape(2, ROWS)
    assert len(set(chosen[0])) > 3
    operations = list(drawn["transforms"].items())
    assert len(operations) == 11

    expected = _images()
    for stage in chosen:
        before = keras.ops.convert_to_tensor(expected)
        by_operation = {
            number: _numpy(getattr(layer, name).transform_images(before, transformation))
            for number, (name, transformation) in enumerate(operations)
            if number in stage
        }
        expected = np.stack([by_operation[number][row] for row, number in enumerate(stage)])
    changed = _numpy(layer.transform_images(keras.ops.convert_to_tensor(_images()), drawn))
    # Keras equalizes by the histogram of the whole batch, as the operations before left it.
    alone = (chosen != [name for name, _ in operations].index("equalization")).all(axis=0)
    assert alone.sum() > 6
    np.testing.assert_allclose(changed[alone], expected[alone], atol=1e-3)
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_every_operation_is_drawn_about_equally_often() -> None:
    layer, images = PerImageRandAugment(0.1), np.zeros((500, 4, 4, 3), "float32")
    chosen = _numpy(layer.get_random_transformation(images, seed=Draws(0, 0))["layer_idxes"])
    counts = np.bincount(chosen.ravel(), minlength=11)
    assert counts.min() > 50
    assert counts.max() < 140


def test_whole_pixels_are_drawn_evenly() -> None:
    crop, images = PaddedCrop(2), np.zeros((2000, 4, 4, 1), "float32")
    moves = _numpy(crop.get_random_transformation(images, seed=Draws(0, 0))["translations"])
    values, counts = np.unique(moves, return_counts=True)
    assert values.tolist() == [-2, -1, 0, 1, 2]
    np.testing.assert_allclose(counts / counts.sum(), 0.2, atol=0.03)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_draws_from_its_beta_distribution(alpha: float) -> None:
    images = np.zeros((4000, 2, 2, 1), "float32")
    drawn = MixUp(alpha).get_random_transformation(images, seed=Draws(0, 0))
    shares = _numpy(drawn["mix_weight"])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)
    np.testing.assert_array_equal(np.sort(_numpy(drawn["permutation_order"])), np.arange(4000))


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_cutmix_draws_from_its_beta_distribution(alpha: float) -> None:
    images = np.zeros((4000, 32, 32, 1), "float32")
    drawn = ExactCutMix(alpha).get_random_transformation(images, seed=Draws(0, 0))
    shares = _numpy(drawn["mix_weight"])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.12)
