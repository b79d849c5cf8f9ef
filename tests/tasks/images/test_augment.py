"""Runs on every backend; with TensorFlow installed the tf.data cases run on JAX too."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from rdrop_tf.tasks.images.augment import Augmentation

ROWS, SIZE, CLASSES = 12, 16, 5
SETTINGS: dict[str, dict[str, Any]] = {
    "crop": {"crop_padding": 3},
    "flip": {"flip": True},
    "randaugment": {"randaugment": 0.3, "views": 2},
    "mixup": {"mixup_alpha": 1.0, "num_classes": CLASSES},
    "cutmix": {"cutmix_alpha": 1.0, "num_classes": CLASSES},
    "all": {
        "crop_padding": 2,
        "flip": True,
        "mixup_alpha": 0.4,
        "cutmix_alpha": 1.0,
        "num_classes": CLASSES,
        "views": 2,
    },
}
Way = Callable[[Augmentation, NDArray[Any], NDArray[Any]], list[Any]]


def _images() -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (ROWS, SIZE, SIZE, 3), dtype=np.uint8)
    return images, rng.integers(0, CLASSES, ROWS).astype(np.int32)


def _eager(augmentation: Augmentation, x: NDArray[Any], y: NDArray[Any]) -> list[Any]:
    """Three epochs of batches of 4, the last one of 1 where rows are left."""
    starts = range(0, len(x), 4)
    return [augmentation(x[i : i + 4], y[i : i + 4]) for _ in range(3) for i in starts]


def _pipeline(augmentation: Augmentation, x: NDArray[Any], y: NDArray[Any]) -> list[Any]:
    import tensorflow as tf

    dataset = augmentation.over(tf.data.Dataset.from_tensor_slices((x, y)).batch(4))
    return [batch for _ in range(3) for batch in dataset.as_numpy_iterator()]


WAYS = pytest.mark.parametrize("way", [_eager, _pipeline], ids=["eager", "tf.data"])


def _flat(batches: list[Any]) -> list[NDArray[Any]]:
    return [np.asarray(leaf) for leaf in keras.tree.flatten(batches)]


def _rows(batches: list[Any]) -> tuple[Any, NDArray[Any]]:
    """Puts batches together again: inputs (or a tuple of views) and labels."""
    xs, ys = zip(*batches, strict=True)
    if isinstance(xs[0], tuple):
        return tuple(np.concatenate(view) for view in zip(*xs, strict=True)), np.concatenate(ys)
    return np.concatenate(xs), np.concatenate(ys)


@WAYS
@pytest.mark.parametrize("name", SETTINGS)
def test_draws_follow_from_the_seed_and_go_on(name: str, way: Way) -> None:
    x, y = _images()
    # The same images in each batch, so that only the draws can make a difference.
    x, y = np.tile(x[:4], (3, 1, 1, 1)), np.tile(y[:4], 3)
    first = way(Augmentation(**SETTINGS[name], seed=1), x, y)
    again = way(Augmentation(**SETTINGS[name], seed=1), x, y)
    other = way(Augmentation(**SETTINGS[name], seed=2), x, y)
    for one, same in zip(_flat(first), _flat(again), strict=True):
        np.testing.assert_array_equal(one, same)
    assert any((a != b).any() for a, b in zip(_flat(first), _flat(other), strict=True))
    # Three epochs of three batches, of which RandomFlip alone can draw two alike.
    seen = {b"".join(leaf.tobytes() for leaf in _flat([batch])) for batch in first}
    assert len(seen) == 9 or (name == "flip" and len(seen) > 4)


def test_a_batchs_number_decides_its_draws() -> None:
    x, y = _images()
    augmentation = Augmentation(**SETTINGS["all"])
    third = _flat([augmentation(x, y, batch=3)])
    augmentation(x, y)
    for one, same in zip(third, _flat([augmentation(x, y, batch=3)]), strict=True):
        np.testing.assert_array_equal(one, same)


@WAYS
def test_every_image_is_cropped_by_itself(way: Way) -> None:
    x, y = _images()
    cropped, labels = _rows(way(Augmentation(crop_padding=2), x, y))
    moves = [_move(x[row % ROWS], image, 2) for row, image in enumerate(cropped)]
    assert len(set(moves[:4])) > 1
    assert {down for down, _ in moves} == {right for _, right in moves} == {-2, -1, 0, 1, 2}
    np.testing.assert_array_equal(labels, np.tile(y, 3))


def _move(image: NDArray[Any], cropped: NDArray[Any], padding: int) -> tuple[int, int]:
    """Finds where an image was cut out of the padded one, or fails."""
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    for down in range(2 * padding + 1):
        for right in range(2 * padding + 1):
            if np.array_equal(padded[down : down + SIZE, right : right + SIZE], cropped):
                return down - padding, right - padding
    raise AssertionError("no crop of the padded image")


@WAYS
def test_about_half_of_the_images_are_mirrored(way: Way) -> None:
    x, y = _images()
    flipped, _ = _rows(way(Augmentation(flip=True), x, y))
    originals = np.tile(x, (3, 1, 1, 1))
    mirrored = (flipped == originals[:, :, ::-1]).all(axis=(1, 2, 3))
    same = (flipped == originals).all(axis=(1, 2, 3))
    assert (mirrored ^ same).all()
    assert 0.2 < mirrored.mean() < 0.8


@WAYS
@pytest.mark.parametrize("name", ["mixup", "cutmix", "all"])
def test_one_soft_label_is_right_for_both_views(name: str, way: Way) -> None:
    """Each image is its class's one-hot code as a colour, so pixels show what was mixed."""
    y = np.arange(ROWS) % CLASSES
    x = np.broadcast_to(
        (np.eye(CLASSES, dtype=np.uint8) * 200)[y][:, None, None], (ROWS, SIZE, SIZE, CLASSES)
    )
    # Crops would bring in zeros.
    settings = {**SETTINGS[name], "views": 2, "crop_padding": 0}
    (first, second), soft = _rows(way(Augmentation(**settings), x, y.astype(np.int32)))
    for view in (first, second):
        shares = view.mean(axis=(1, 2)) / 200
        np.testing.assert_allclose(shares, soft, atol=1e-5)
    assert soft.dtype == np.float32
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)
    assert ((soft > 0.05) & (soft < 0.95)).any()


@WAYS
@pytest.mark.parametrize("mixing", [{}, {"mixup_alpha": 1.0, "num_classes": CLASSES}])
def test_views_are_the_same_images_cropped_twice(mixing: dict[str, Any], way: Way) -> None:
    # In the middle, which no crop reaches, an image shows its number.
    x = np.zeros((ROWS, SIZE, SIZE, 1), np.float32)
    x[:, 4:-4, 4:-4] = np.arange(ROWS)[:, None, None, None]
    augmentation = Augmentation(crop_padding=3, views=2, **mixing)
    (first, second), _ = _rows(way(augmentation, x, np.arange(ROWS, dtype=np.int32) % CLASSES))
    middle = SIZE // 2
    np.testing.assert_allclose(first[:, middle, middle], second[:, middle, middle], rtol=1e-6)
    different = (first != second).any(axis=(1, 2, 3))
    assert different.mean() > 0.7
    if not mixing:
        np.testing.assert_array_equal(first[:ROWS, middle, middle, 0], np.arange(ROWS))


@WAYS
def test_cutmix_pastes_one_box(way: Way) -> None:
    x = np.broadcast_to(np.arange(ROWS, dtype=np.uint8)[:, None, None, None], (ROWS, SIZE, SIZE, 1))
    augmentation = Augmentation(cutmix_alpha=1.0, num_classes=ROWS)
    mixed, soft = _rows(way(augmentation, x, np.arange(ROWS, dtype=np.int32)))
    for row, (image, label) in enumerate(zip(mixed[..., 0], soft, strict=True)):
        pasted = image != row % ROWS
        rows, columns = pasted.any(axis=1), pasted.any(axis=0)
        assert pasted.sum() == rows.sum() * columns.sum()
        assert len(np.unique(image[pasted])) <= 1
        assert label[row % ROWS] == pytest.approx(1 - pasted.mean(), abs=1e-6)


@WAYS
def test_without_mixing_labels_stay_numbers(way: Way) -> None:
    x, y = _images()
    augmentation = Augmentation(flip=True, crop_padding=1)
    _, labels = _rows(way(augmentation, x[:9], y[:9]))
    np.testing.assert_array_equal(labels, np.tile(y[:9], 3))
    assert labels.dtype == y.dtype
    assert not augmentation.soft_labels


def test_mixed_precision_leaves_the_images_exact() -> None:
    x, y = _images()
    exact, _ = Augmentation(**SETTINGS["mixup"])(x, y)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        same, _ = Augmentation(**SETTINGS["mixup"])(x, y)
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(exact, same)


def test_eager_calls_work_before_and_after_a_pipeline() -> None:
    x, y = _images()
    augmentation = Augmentation(**SETTINGS["randaugment"], flip=True)
    before = _flat([augmentation(x, y, batch=5)])
    _pipeline(augmentation, x, y)
    for one, same in zip(before, _flat([augmentation(x, y, batch=5)]), strict=True):
        np.testing.assert_array_equal(one, same)


def test_shapes_are_known_to_the_pipeline() -> None:
    import tensorflow as tf

    augmentation = Augmentation(**SETTINGS["all"])
    dataset = augmentation.over(tf.data.Dataset.from_tensor_slices(_images()).batch(4))
    (first, second), labels = dataset.element_spec
    assert first.shape.as_list() == second.shape.as_list() == [None, SIZE, SIZE, 3]
    assert labels.shape.as_list() == [None, CLASSES]


def test_batches_that_would_race_are_refused() -> None:
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(_images()).batch(4)
    with pytest.raises(ValueError, match=r"a batch must have a number.*use augmentation\.over"):
        dataset.map(Augmentation(flip=True), num_parallel_calls=tf.data.AUTOTUNE)
