"""A handle becomes a folder, or one sentence that says what is wrong with it."""

import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest

from rdrop_tf.layers import SavedModelLayer
from rdrop_tf.layers.saved_model_handle import resolve_handle

KAGGLE = "google/nnlm/tensorFlow2/en-dim50/1"


def saved_model(folder: Path) -> Path:
    """What looks like a SavedModel to whom does not read it."""
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")
    return folder


def test_a_folder(tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "model")
    assert resolve_handle(str(folder)) == folder


@pytest.mark.parametrize("handle", ["no/such/folder", "google/nnlm/pyTorch/en-dim50/1"])
def test_a_missing_path(handle: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"must be a folder that exists.*'{handle}'"):
        resolve_handle(handle)


def test_a_folder_that_is_no_saved_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"must hold a file saved_model.pb.*holds none"):
        resolve_handle(str(tmp_path))


def test_a_file_that_is_no_saved_model(tmp_path: Path) -> None:
    file = tmp_path / "model.keras"
    file.write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"for a .keras file use keras.saving.load_model"):
        resolve_handle(str(file))


@pytest.mark.tensorflow
def test_a_saved_model_that_cannot_be_read(tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "model")
    (folder / "saved_model.pb").write_bytes(b"cut off in the middle of")
    with pytest.raises(OSError, match=r"must be a SavedModel of TensorFlow.*cannot be read"):
        SavedModelLayer(folder)


@pytest.mark.parametrize(
    ("handle", "package", "line"),
    [
        (KAGGLE, "kagglehub", "pip install kagglehub"),
        (f"https://www.kaggle.com/models/{KAGGLE}", "kagglehub", "pip install kagglehub"),
        ("https://tfhub.dev/google/nnlm/1", "tensorflow_hub", "pip install tensorflow_hub"),
    ],
)
def test_a_handle_whose_package_is_missing(
    monkeypatch: pytest.MonkeyPatch, handle: str, package: str, line: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"downloaded with {package}.*{line}"):
        resolve_handle(handle)


@pytest.mark.parametrize(
    ("handle", "package", "function"),
    [
        (KAGGLE, "kagglehub", "model_download"),
        ("https://tfhub.dev/google/nnlm/1", "tensorflow_hub", "resolve"),
    ],
)
def test_a_download_that_fails(
    monkeypatch: pytest.MonkeyPatch, handle: str, package: str, function: str
) -> None:
    def fail(handle: str) -> None:
        raise RuntimeError("HTTPSConnectionPool:\nno route")

    monkeypatch.setitem(sys.modules, package, SimpleNamespace(**{function: fail}))
    said = (
        rf"'{handle}', whose download failed \(RuntimeError: HTTPSConnectionPool: no route\); con"
    )
    with pytest.raises(OSError, match=said):
        resolve_handle(handle)


def test_kagglehub_resolves_from_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kagglehub", reason="needs kagglehub")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    folder = saved_model(tmp_path / "models" / KAGGLE)
    folder.with_name("1.complete").touch()
    assert resolve_handle(KAGGLE) == folder
    assert resolve_handle(f"https://www.kaggle.com/models/{KAGGLE}") == folder


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
def test_tensorflow_hub_resolves_from_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorflow_hub", reason="needs tensorflow_hub")
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    address = "https://tfhub.dev/google/nnlm-en-dim50/2"
    folder = saved_model(tmp_path / hashlib.sha1(address.encode()).hexdigest())
    assert resolve_handle(address) == folder


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="is about other backends")
def test_another_backend(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"needs the TensorFlow backend.*set KERAS_BACKEND"):
        SavedModelLayer(saved_model(tmp_path / "model"))


@pytest.mark.tensorflow
def test_a_saved_model_that_is_not_the_one_that_was_meant(tmp_path: Path) -> None:
    """It is refused before it is read: this one could not be."""
    folder = saved_model(tmp_path / "model")
    with pytest.raises(ValueError, match=r"the SavedModel .* must have the SHA-256 that was given"):
        SavedModelLayer(folder, sha256="0" * 64)
