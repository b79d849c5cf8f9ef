"""From what names a SavedModel, a folder or a TF Hub or Kaggle handle, to its folder."""

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_KAGGLE_URL = re.compile(r"https?://(?:www\.)?kaggle\.com/models/(.+?)/?")
# What kagglehub takes: owner/model/framework/variation, and perhaps a version. Only this
# framework's models are SavedModels of TensorFlow 2.
_KAGGLE_HANDLE = re.compile(r"[\w.-]+/[\w.-]+/tensorflow2/[\w.-]+(?:/\d+)?", re.IGNORECASE)


def resolve_handle(handle: str) -> Path:
    """Returns the folder of a SavedModel; downloads it where the handle is not a folder.

    Args:
        handle: A folder, a Kaggle handle (`owner/model/tensorFlow2/variation[/version]`) or
            its page's address, or any address that `tensorflow_hub` resolves.

    Raises:
        ImportError: If the handle needs a package that is not installed.
        OSError: If the folder does not exist or holds no SavedModel, or a download fails.
    """
    if Path(handle).exists():
        return _checked(Path(handle))
    address = _KAGGLE_URL.fullmatch(handle)
    kaggle = address.group(1) if address else handle
    if _KAGGLE_HANDLE.fullmatch(kaggle):
        hub = _import("kagglehub", handle, "pip install kagglehub")
        return _checked(_downloaded(hub.model_download, kaggle))
    if "://" in handle:
        # tensorflow_hub 0.16 imports pkg_resources, which setuptools 82 has dropped.
        hub = _import("tensorflow_hub", handle, "pip install tensorflow_hub 'setuptools<82'")
        return _checked(_downloaded(hub.resolve, handle))
    raise FileNotFoundError(
        "A SavedModel's handle must be a folder that exists, or a TF Hub or Kaggle handle. "
        f"Received: {handle!r}; look for a typing error, or for a relative path in another folder"
    )


def _import(package: str, handle: str, install: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"The handle {handle!r} is downloaded with {package}, which cannot be imported "
            f"({error}): {install}"
        ) from error


def _downloaded(download: Callable[[str], str], handle: str) -> Path:
    try:
        return Path(download(handle))
    # Without a network, credentials or such a model: each package has errors of its own.
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise OSError(
            "A handle that is no folder is downloaded. "
            f"Received: {handle!r}, whose download failed ({said}); connect to the network, look "
            "for a typing error, or give the folder of a SavedModel"
        ) from error


def _checked(folder: Path) -> Path:
    if not (folder / "saved_model.pb").is_file():
        raise FileNotFoundError(
            "The folder of a SavedModel must hold a file saved_model.pb, as tf.saved_model.save "
            f"writes it. Received: '{folder}', which holds none; for a .keras file use "
            "keras.saving.load_model"
        )
    return folder
