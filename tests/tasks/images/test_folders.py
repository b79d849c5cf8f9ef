import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rdrop_tf.tasks.images import read_folders
from rdrop_tf.tasks.parts import NumberedRows

Image = pytest.importorskip("PIL.Image", reason="needs Pillow")
SIZE = 12


def _picture(seed: int, height: int = SIZE, width: int = SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes; three images of train and two of test, PNG so that pixels survive."""
    for seed, name in enumerate(
        ["train/cat/a.png", "train/cat/deep/b.PNG", "train/dog/c.png", "val/cat/d.png", "val/dog/e"]
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_picture(seed)).save(path, "png")
    return tmp_path


def _rows(part: Any) -> Iterator[tuple[NDArray[np.uint8], int]]:
    numbered = isinstance(part, NumberedRows)
    rows = part.batched(9).unbatch().as_numpy_iterator() if numbered else zip(*part, strict=True)
    return ((image, int(label)) for image, label in rows)


def test_pixels_and_classes_come_back(folder: Path) -> None:
    data = read_folders(folder, SIZE)
    assert data.class_names == ["cat", "dog"]
    assert data.train.y.tolist() == [0, 0, 1]
    assert data.test.y.tolist() == [0, 1]
    for image, seed in zip(data.train.x, [0, 1, 2], strict=True):
        np.testing.assert_array_equal(image, _picture(seed))
    np.testing.assert_array_equal(data.test.x, [_picture(3), _picture(4)])
    assert data.train.x.dtype == np.uint8
    assert data.train.y.dtype == np.int32


@pytest.mark.parametrize("name", ["test", "val"])
def test_either_name_of_the_test_part_will_do(name: str, folder: Path) -> None:
    (folder / "val").rename(folder / name)
    assert read_folders(str(folder), SIZE).test.rows == 2


def test_what_does_not_fit_is_streamed_the_same(folder: Path) -> None:
    held = read_folders(folder, 8)
    streamed = read_folders(folder, 8, memory_limit=5 * 8 * 8 * 3 - 1)
    assert isinstance(read_folders(folder, 8, memory_limit=5 * 8 * 8 * 3).train, type(held.train))
    assert isinstance(streamed.train, NumberedRows)
    assert (streamed.train.rows, streamed.test.rows) == (3, 2)
    for one, other in ((held.train, streamed.train), (held.test, streamed.test)):
        expected = {(image.tobytes(), label) for image, label in _rows(one)}
        assert {(image.tobytes(), label) for image, label in _rows(other)} == expected
    image, label = streamed.train.batched(2).element_spec
    assert (image.shape.as_list(), image.dtype.name) == ([None, 8, 8, 3], "uint8")
    assert (label.shape.as_list(), label.dtype.name) == ([None], "int32")


def test_only_the_training_part_is_shuffled(folder: Path) -> None:
    streamed = read_folders(folder, SIZE, memory_limit=0)
    assert {tuple(label for _, label in _rows(streamed.test)) for _ in range(10)} == {(0, 1)}
    mixed = {tuple(label for _, label in _rows(streamed.train)) for _ in range(10)}
    assert len(mixed) == 1, "in an order that stays: its first rows may be held out"


@pytest.mark.parametrize("limit", [2**30, 0], ids=["held", "streamed"])
@pytest.mark.parametrize("damage", ["text", "empty", "truncated png", "truncated jpeg"])
def test_damaged_files_are_left_out_and_counted(damage: str, limit: int, folder: Path) -> None:
    (folder / "train" / "cat" / "0.jpg").write_bytes(_damaged(damage))
    with pytest.warns(UserWarning, match=r"1 of 4 files are left out.*the first: .*0\.jpg"):
        data = read_folders(folder, SIZE, memory_limit=limit)
    assert data.train.rows == 3
    rows = {image.tobytes(): label for image, label in _rows(data.train)}
    assert rows == {_picture(seed).tobytes(): label for seed, label in enumerate([0, 0, 1])}


def _damaged(damage: str) -> bytes:
    if damage in ("text", "empty"):
        return b"" if damage == "empty" else b"no image at all"
    file = io.BytesIO()
    Image.fromarray(_picture(9, 64, 64)).save(file, damage.split()[1])
    return file.getvalue()[: len(file.getvalue()) * 2 // 3]


@pytest.mark.parametrize("limit", [2**30, 0], ids=["held", "streamed"])
def test_strict_stops_at_damage(limit: int, folder: Path) -> None:
    for name in ("0.jpg", "1.jpg"):
        (folder / "train" / "dog" / name).write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"must be an image .*dog/0\.jpg and 1 more that do not"):
        read_folders(folder, SIZE, strict=True, memory_limit=limit)


def test_a_part_without_any_image_is_an_error(folder: Path) -> None:
    for path in (folder / "val").rglob("*"):
        if path.is_file():
            path.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"none of the 2 files decodes .* first: .*val/cat/d\.png"):
        read_folders(folder, SIZE)


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("limit", [2**30, 0], ids=["held", "streamed"])
def test_a_class_without_any_image_is_an_error(part: str, limit: int, folder: Path) -> None:
    (path,) = (path for path in (folder / part / "dog").iterdir())
    path.write_bytes(b"no image")
    text = (
        rf"each class must have an image .*; got none among the 1 files of the class 'dog' .*{path}"
    )
    with pytest.raises(ValueError, match=text):
        read_folders(folder, SIZE, memory_limit=limit)


def test_a_file_damaged_later_stops_the_stream(folder: Path) -> None:
    import tensorflow as tf

    data = read_folders(folder, SIZE, memory_limit=0)
    (folder / "val" / "dog" / "e").write_bytes(b"no image")
    with pytest.raises(tf.errors.InvalidArgumentError, match="dog/e was an image when the folder"):
        list(_rows(data.test))


def test_images_are_stretched_to_a_square(folder: Path) -> None:
    halves = np.zeros((20, 40, 3), np.uint8)
    halves[:, 20:] = 200
    Image.fromarray(halves).save(folder / "train" / "cat" / "a.png")
    image = read_folders(folder, 10).train.x[0]
    assert image.shape == (10, 10, 3)
    assert (image[:, :4] == 0).all()
    assert (image[:, 6:] == 200).all()


def test_grey_and_transparent_images_become_rgb(folder: Path) -> None:
    grey = _picture(7)[..., 0]
    Image.fromarray(grey).save(folder / "train" / "cat" / "a.png")
    rgba = np.dstack([_picture(8), np.full((SIZE, SIZE), 255, np.uint8)])
    Image.fromarray(rgba).save(folder / "train" / "dog" / "c.png")
    data = read_folders(folder, SIZE)
    np.testing.assert_array_equal(data.train.x[0], np.dstack([grey] * 3))
    np.testing.assert_array_equal(data.train.x[2], _picture(8))


def test_images_are_turned_the_way_the_camera_says(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    picture = _picture(5)
    Image.fromarray(picture).save(folder / "train" / "cat" / "a.png", exif=exif)
    turned = read_folders(folder, SIZE).train.x[0]
    np.testing.assert_array_equal(turned, np.rot90(picture, -1))


def test_no_pixels_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="to image_size, of 1 pixel or more; got image_size=0"):
        read_folders(folder, 0)


def test_missing_pillow_comes_with_the_cure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rdrop_tf._optional.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'PIL is missing: pip install "rdrop_tf\[data\]"'):
        read_folders(folder, SIZE)
