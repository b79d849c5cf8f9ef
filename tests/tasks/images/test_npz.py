import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rdrop_tf.tasks.images import read_npz


def _arrays(**changed: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8),
        "y_train": np.array([0, 1, 2, 1, 0]),
        "x_test": rng.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8),
        "y_test": np.array([[2], [1], [0]]),
    }
    return {key: value for key, value in {**arrays, **changed}.items() if value is not None}


def _write(folder: Path, **changed: Any) -> Path:
    path = folder / "images.npz"
    np.savez(path, **_arrays(**changed))
    return path


def test_arrays_come_back(tmp_path: Path) -> None:
    data = read_npz(_write(tmp_path), num_classes=3)
    arrays = _arrays()
    np.testing.assert_array_equal(data.train.x, arrays["x_train"])
    np.testing.assert_array_equal(data.train.y, arrays["y_train"])
    np.testing.assert_array_equal(data.test.x, arrays["x_test"])
    np.testing.assert_array_equal(data.test.y, [2, 1, 0])
    assert data.train.x.dtype == np.uint8
    assert data.train.y.dtype == data.test.y.dtype == np.int32
    assert data.class_names is None


def test_grey_images_get_an_axis_of_channels(tmp_path: Path) -> None:
    grey = {key: _arrays()[key][..., 0] for key in ("x_train", "x_test")}
    assert read_npz(_write(tmp_path, **grey)).train.x.shape == (5, 8, 8, 1)


def test_compressed_files_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "small.npz", **_arrays())
    assert read_npz(str(tmp_path / "small.npz")).test.rows == 3


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"y_test": None}, "must hold the arrays x_train, y_train, x_test, y_test; got .*add y_t"),
        (
            {"x_train": np.zeros((5, 8, 8, 3))},
            "x_train must be uint8, values 0 to 255; got float64",
        ),
        ({"x_train": np.zeros((5, 3, 8, 8), np.uint8)}, r"got \(5, 3, 8, 8\): put the channels la"),
        ({"x_train": np.zeros((5, 64), np.uint8)}, r"must have the shape .*; got \(5, 64\)"),
        ({"x_test": np.zeros((0, 8, 8, 3), np.uint8)}, r"got \(0, 8, 8, 3\): put images in"),
        ({"x_test": np.zeros((3, 8, 8, 4), np.uint8)}, r"got \(3, 8, 8, 4\): leave the last ch"),
        ({"x_test": np.zeros((3, 8, 8, 7), np.uint8)}, r"got \(3, 8, 8, 7\): keep the channel of"),
        ({"x_test": np.zeros((3, 9, 9, 3), np.uint8)}, r"one size; got \(8, 8, 3\) and \(9, 9, 3"),
        ({"y_train": np.zeros(4, int)}, "x_train and y_train must have the same .* 5 and 4"),
        ({"y_train": np.array([0, 1, 1, 0, 1])}, r"1 in y_test that y_train has not, the first: 2"),
        (
            {"y_test": np.array([0, 3, 1])},
            r"y_test must be below the .* classes, 3; got 3 in row 1",
        ),
        (
            {"y_train": np.full(5, -1)},
            r"images.npz: y_train must be class numbers from 0 on; got -1",
        ),
    ],
)
def test_another_form_is_refused(changed: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=text):
        read_npz(_write(tmp_path, **changed), num_classes=3)


def test_classes_without_a_test_row_are_counted(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"2 of 3 classes of y_train have .*, the first: 0; no fi"):
        read_npz(_write(tmp_path, y_test=np.array([1, 1, 1])))


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    objects = np.array([0, 1, 2, 1, None], dtype=object)
    with pytest.raises(ValueError, match="y_train must be a plain array; it holds pickled objects"):
        read_npz(_write(tmp_path, y_train=objects))


@pytest.mark.parametrize("content", [b"", b"not a zip", pickle.dumps([1]), b"PK\x03\x04broken"])
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "images.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"must be an npz file.* and is none.*pickles are not rea"):
        read_npz(tmp_path / "images.npz")


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"must be an npz file with .*; got a single array"):
        read_npz(tmp_path / "x.npy")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.npz: no such file; an npz file was looked"):
        read_npz(tmp_path / "none.npz")
