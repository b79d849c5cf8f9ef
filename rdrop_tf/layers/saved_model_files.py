"""The files of a SavedModel: copied with a model, and known again."""

import hashlib
import shutil
import weakref
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from rdrop_tf._digests import list_sha256

# A folder may hold more, checkpoints for one, which does not belong to the SavedModel.
_PARTS = ("saved_model.pb", "fingerprint.pb", "variables", "assets")


def copy_files(folder: Path, target: Path) -> None:
    """Copies what belongs to a SavedModel into a folder that exists.

    Raises:
        OSError: If the folder of the SavedModel is no longer there.
    """
    if not (folder / "saved_model.pb").is_file():
        raise FileNotFoundError(
            "The folder of a SavedModel must still be there when the model is saved, because its "
            f"files are saved with it. Received: '{folder}', which is gone; put it back, or save "
            "the weights alone"
        )
    for part in _PARTS:
        source = folder / part
        if source.is_dir():
            shutil.copytree(source, target / part, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copyfile(source, target / part)


def saved_model_sha256(folder: Path) -> str:
    """Returns one SHA-256 for a SavedModel's program, weights and assets."""
    return list_sha256(folder, ("saved_model.pb", "variables", "assets"))


def fingerprint(folder: Path) -> str:
    """Returns a hash of a SavedModel's program and assets; its weights do not count."""
    digest = hashlib.sha256((folder / "saved_model.pb").read_bytes())
    for asset in sorted(p for p in (folder / "assets").rglob("*") if p.is_file()):
        digest.update(asset.relative_to(folder).as_posix().encode() + b"\0" + asset.read_bytes())
    return digest.hexdigest()


def is_same(folder: Path, known: str) -> bool:
    """Whether a folder holds the SavedModel that a fingerprint was taken of."""
    return (folder / "saved_model.pb").is_file() and fingerprint(folder) == known


class _OwnFolder:
    """A folder that is deleted with the last object that keeps it."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="rdrop_tf_"))
        weakref.finalize(self, shutil.rmtree, str(self.path), ignore_errors=True)


_OWN_FOLDERS: weakref.WeakValueDictionary[str, _OwnFolder] = weakref.WeakValueDictionary()


def folder_of(owner: Any) -> Path:
    """Makes a folder that lives as long as an object, and as all that `keep_folder`."""
    own = _OwnFolder()
    _OWN_FOLDERS[str(own.path.resolve())] = own
    owner.own_folder = own
    return own.path


def keep_folder(owner: Any, folder: Path) -> None:
    """Lets an object keep a folder that was made for another; any other folder is left alone.

    A model that is loaded from a file finds the folder of the model that wrote it, and would lose
    its files with that model.
    """
    own = _OWN_FOLDERS.get(str(folder.resolve()))
    if own is not None:
        owner.own_folder = own
