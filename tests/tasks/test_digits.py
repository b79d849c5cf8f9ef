from dataclasses import replace

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from rdrop_tf.losses import symmetric_kl
from rdrop_tf.recipes import DIGITS
from rdrop_tf.tasks.digits import Digits

TASK = Digits(DIGITS)
PIXELS = load_digits().images[..., np.newaxis]


def _sorted_by_bytes(images: NDArray[np.float32]) -> NDArray[np.bytes_]:
    return np.sort(images.reshape(len(images), 64).view("S256").ravel())


def test_the_parts_are_all_images_once() -> None:
    parts = TASK.splits()
    drawn = np.concatenate([part.x for part in parts[:3]])
    assert drawn.shape == PIXELS.shape == (1797, 8, 8, 1)
    np.testing.assert_array_equal(
        _sorted_by_bytes(drawn), _sorted_by_bytes(PIXELS.astype(np.float32))
    )


def test_images_keep_their_digits() -> None:
    digits = {
        image.tobytes(): digit for image, digit in zip(PIXELS, load_digits().target, strict=True)
    }
    for part in TASK.splits()[:3]:
        for image, digit in zip(part.x[:50], part.y[:50], strict=True):
            assert digits[image.astype(float).tobytes()] == digit


def test_every_part_has_each_digit_in_proportion() -> None:
    for part in TASK.splits()[:3]:
        shares = np.bincount(part.y, minlength=10) / len(part.y)
        assert abs(shares - 0.1).max() < 0.01


def test_the_parts_are_the_same_at_every_call() -> None:
    for one, other in zip(TASK.splits()[:3], TASK.splits()[:3], strict=True):
        np.testing.assert_array_equal(one.x, other.x)


def test_another_split_seed_draws_other_images() -> None:
    other = Digits(replace(DIGITS, data={**DIGITS.data, "seed": 1}))
    assert not np.array_equal(other.splits().train.x, TASK.splits().train.x)


def test_the_model_takes_the_recipes_sizes() -> None:
    model = TASK.model()
    dropouts = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert set(dropouts) == {DIGITS.model["dropout"]}
    assert model.output_shape == (None, 10)


def test_the_divergence_is_the_papers() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 5, 10))
    np.testing.assert_array_equal(TASK.divergence(first, second), symmetric_kl(first, second))


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\t"])
def test_a_line_is_read_back(separator: str) -> None:
    image = PIXELS[7]
    line = separator.join(str(pixel) for pixel in image.ravel()) + "\n"
    np.testing.assert_array_equal(TASK.read_line(line), image)


def test_the_most_probable_digit_is_written() -> None:
    assert TASK.write_lines(np.eye(10)[[3, 0, 9]]) == ["3", "0", "9"]


@pytest.mark.parametrize("pixel", ["-1", "16.5", "nan", "inf", "a"])
def test_a_bad_pixel_is_named(pixel: str) -> None:
    with pytest.raises(ValueError, match=f"a pixel must be a number from 0 to 16; got '{pixel}'"):
        TASK.read_line(" ".join([pixel, *["0"] * 63]))


def test_a_line_of_another_length_is_counted() -> None:
    with pytest.raises(ValueError, match=r"must hold 64 pixels.*; got 65 values"):
        TASK.read_line("0 " * 65)
