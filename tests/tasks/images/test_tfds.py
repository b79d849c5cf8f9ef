import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rdrop_tf.tasks.images import read_tfds
from rdrop_tf.tasks.parts import Examples, Stream

tfds = pytest.importorskip("tensorflow_datasets", reason="needs tensorflow-datasets")
ROWS = 6


@pytest.fixture
def splits(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The splits of mocked sets, which tensorflow-datasets knows of prepared ones only."""
    named = {name: _split(name) for name in ("train", "test", "validation")}
    monkeypatch.setattr(tfds.core.DatasetInfo, "splits", property(lambda self: named))
    return named


def _split(name: str) -> Any:
    return tfds.core.SplitInfo(name=name, shard_lengths=[ROWS], num_bytes=0, filename_template=None)


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [("cifar10", (32, 32, 3), 10), ("cifar100", (32, 32, 3), 100), ("mnist", (28, 28, 1), 10)],
)
def test_sets_of_one_size_are_held(
    name: str, shape: tuple[int, ...], classes: int, splits: object
) -> None:
    with tfds.testing.mock_data(num_examples=ROWS):
        data = read_tfds(name)
        expected = list(tfds.as_numpy(tfds.load(name, split="train")))
    assert isinstance(data.train, Examples)
    assert data.train.x.shape == data.test.x.shape == (ROWS, *shape)
    assert (data.train.x.dtype, data.train.y.dtype) == (np.uint8, np.int32)
    np.testing.assert_array_equal(data.train.x, [row["image"] for row in expected])
    np.testing.assert_array_equal(data.train.y, [row["label"] for row in expected])
    assert data.class_names is not None
    assert len(data.class_names) == classes


def test_images_are_stretched_where_a_size_is_given(splits: object) -> None:
    with tfds.testing.mock_data(num_examples=ROWS):
        same, small = read_tfds("cifar10", image_size=32), read_tfds("cifar10", image_size=16)
    assert small.train.x.shape == (ROWS, 16, 16, 3)
    # Every new pixel covers four old ones and some of those around them.
    means = same.train.x.reshape(ROWS, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    assert np.corrcoef(small.train.x.ravel(), means.ravel())[0, 1] > 0.9
    assert small.train.x.mean() == pytest.approx(same.train.x.mean(), rel=0.02)


def test_imagenet_is_streamed_and_judged_on_its_validation_part(
    splits: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    with tfds.testing.mock_data(num_examples=ROWS):
        mocked = tfds.core.DatasetBuilder.as_dataset

        def spy(self: Any, split: str, **options: Any) -> Any:
            asked.append(split)
            return mocked(self, split=split, **options)

        monkeypatch.setattr(tfds.core.DatasetBuilder, "as_dataset", spy)
        # As if a machine could not hold even these few.
        data = read_tfds("imagenet2012", image_size=24, memory_limit=2 * ROWS * 24 * 24 * 3 - 1)
        monkeypatch.undo()
        assert isinstance(data.train, Stream)
        rows = list(data.train.source.as_numpy_iterator())
    assert asked == ["train", "validation"]
    assert (data.train.rows, data.test.rows, len(rows)) == (ROWS, ROWS, ROWS)
    assert {(image.shape, image.dtype.name) for image, _ in rows} == {((24, 24, 3), "uint8")}
    assert {label.dtype.name for _, label in rows} == {"int32"}
    assert len(data.class_names or ()) == 1000


def test_images_that_differ_need_a_size(splits: object) -> None:
    with (
        tfds.testing.mock_data(num_examples=ROWS),
        pytest.raises(ValueError, match=r"images of imagenet2012 differ in size.*image_size=None"),
    ):
        read_tfds("imagenet2012")


def test_a_set_without_a_test_part_is_refused(splits: dict[str, Any]) -> None:
    del splits["test"], splits["validation"]
    with (
        tfds.testing.mock_data(num_examples=ROWS),
        pytest.raises(ValueError, match="tf_flowers must have a part to report on, test or valida"),
    ):
        read_tfds("tf_flowers", image_size=8)


def test_a_set_of_another_kind_is_refused(splits: object) -> None:
    with (
        tfds.testing.mock_data(num_examples=ROWS),
        pytest.raises(ValueError, match="glue/sst2 must be a set of image classification"),
    ):
        read_tfds("glue/sst2")


def test_an_unknown_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be one of tensorflow-datasets; got 'cifar11': see"):
        read_tfds("cifar11", data_dir=tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        OSError("no route to host\nand more"),
        AssertionError("Manual directory does not exist"),
        tfds.download.DownloadError("status 503"),
    ],
)
def test_without_the_data_one_sentence_says_where_they_were_looked_for(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any) -> None:
        raise error

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(OSError, match=r"cifar10 must be prepared in '.*' or be downlo") as caught:
        read_tfds("cifar10", data_dir=tmp_path)
    text = str(caught.value)
    assert str(tmp_path / "cifar10") in text
    assert str(error).splitlines()[0] in text
    assert text.endswith(
        "set TFDS_DATA_DIR to the folder where tensorflow-datasets has prepared it, or use an npz "
        "file or class folders"
    )
    assert "\n" not in text


def test_missing_packages_come_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any) -> None:
        raise ModuleNotFoundError("No module named 'importlib_resources'")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    text = r'needs a package \(.*importlib_resources.*\): pip install "rdrop_tf\[data\]"'
    with pytest.raises(ImportError, match=text):
        read_tfds("cifar10", data_dir=tmp_path)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r'pip install "rdrop_tf\[data\]"'):
        read_tfds("cifar10", data_dir=tmp_path)
