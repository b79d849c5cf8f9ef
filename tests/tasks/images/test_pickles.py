import pickle
from pathlib import Path

import pytest

from rdrop_tf.tasks.images import read_folders, read_npz
from rdrop_tf.tasks.images.pickles import refuse_cifar_pickles

TEXT = (
    "must not come as Python pickles, which run whatever code they hold; got '.*{}', the original "
    "CIFAR batches: take the same images from tensorflow-datasets .* or an npz file"
)


class _Bomb:
    """Says so when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("unpickled!",))


def _pickle(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(_Bomb()))


@pytest.mark.parametrize(
    ("files", "given", "named"),
    [
        (["data_batch_1", "batches.meta"], ".", ""),
        (["cifar-10-batches-py/data_batch_1"], ".", "cifar-10-batches-py"),
        (["cifar-10-batches-py/data_batch_1"], "cifar-10-batches-py", "cifar-10-batches-py"),
        (["data_batch_3"], "data_batch_3", "data_batch_3"),
        (["test_batch"], "test_batch", "test_batch"),
        (["cifar-100-python/train", "cifar-100-python/meta"], ".", "cifar-100-python"),
        (["mine/train", "mine/test", "mine/meta"], "mine", "mine"),
        (["cifar-100-python.tar.gz"], "cifar-100-python.tar.gz", "cifar-100-python.tar.gz"),
        (["CIFAR-10-python.tgz"], "CIFAR-10-python.tgz", "CIFAR-10-python.tgz"),
    ],
)
def test_the_original_batches_are_refused_unread(
    files: list[str],
    given: str,
    named: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for file in files:
        _pickle(tmp_path / file)
    for read in (read_npz, lambda path: read_folders(path, 8)):
        with pytest.raises(ValueError, match=TEXT.format(named)):
            read(tmp_path / given)
    assert "unpickled" not in capsys.readouterr().out


def test_class_folders_are_none(tmp_path: Path) -> None:
    for name in ("train/cat", "test/cat"):
        (tmp_path / name).mkdir(parents=True)
    refuse_cifar_pickles(tmp_path)
    refuse_cifar_pickles(tmp_path / "images.npz")
