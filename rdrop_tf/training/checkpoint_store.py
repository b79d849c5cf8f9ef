"""Checkpoints in a folder: written whole or not at all, and checked when they are read."""

import hashlib
import json
import os
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_NAME = re.compile(r"step-(\d{10,})-([0-9a-f]{64})\.npz")
_UNFINISHED = ".unfinished"
_FACTS = "facts"
_BLOCK = 2**20


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        step: The number it is known by; a later one has a larger number.
        arrays: Arrays by name.
        facts: All else, of the kinds that json knows.
    """

    step: int
    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)


class CheckpointStore:
    """The last checkpoints of one run.

    A checkpoint is one `.npz` file, so it is never a mix of two moments. It is written beside,
    synced to the disk and then renamed, so that one that has its name is complete, and the SHA-256
    of its bytes is part of the name, so that one that has changed since is known. NumPy reads it
    without pickle; anything else that reads a zip of arrays does too.

    Args:
        folder: Where they lie; it is made when the first one is written.
        keep: How many of the last ones stay.

    Raises:
        ValueError: If `keep` is below 1.

    Example:
    >>> import tempfile
    >>> store = CheckpointStore(Path(tempfile.mkdtemp()))
    >>> path = store.write(Checkpoint(7, {"kernel": np.ones(3)}, {"epoch": 2}))
    >>> newest = store.newest()
    >>> newest.step, newest.arrays["kernel"], newest.facts
    (7, array([1., 1., 1.]), {'epoch': 2})
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        if keep < 1:
            raise ValueError(f"a store keeps 1 checkpoint or more; got keep={keep}")
        self.folder, self.keep = folder, keep
        # What `newest` has passed over takes none of the places of those that stay.
        self._broken: set[Path] = set()
        self._foreign: set[Path] = set()

    def write(self, checkpoint: Checkpoint) -> Path:
        """Writes a checkpoint, then deletes those before the last `keep`, and broken ones.

        Args:
            checkpoint: What to write.

        Returns:
            Its path.

        Raises:
            OSError: If the disk does not take it; those before it are as they were.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f"{os.getpid()}{_UNFINISHED}"
        try:
            with unfinished.open("wb") as file:
                hashed = _Hashed(file)
                _write_npz(hashed, _members(checkpoint))
                file.flush()
                os.fsync(file.fileno())
            digest = hashed.digest.hexdigest()
            path = self.folder / f"step-{checkpoint.step:010}-{digest}.npz"
            unfinished.replace(path)
            _sync_folder(self.folder)
        finally:
            unfinished.unlink(missing_ok=True)
        self._delete_old(path)
        return path

    def paths(self) -> list[Path]:
        """Returns the files that are named as checkpoints, the latest first."""
        if not self.folder.is_dir():
            return []
        named = [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        # Of equal steps the one written last: a run that went back has come here again.
        return sorted(named, key=lambda path: (_step(path), path.stat().st_mtime_ns), reverse=True)

    def newest(self, check: Callable[[Checkpoint], None] | None = None) -> Checkpoint | None:
        """Reads the latest checkpoint that is whole; warns of later ones that are not.

        Args:
            check: Raises a `ValueError` for a checkpoint that is of something else.

        Returns:
            The checkpoint; None if the folder holds none.

        Raises:
            ValueError: If there are some, and none can be used.
        """
        refused: dict[str, list[str]] = {}  # names by what is wrong
        for path in self.paths():
            passed_over = self._broken
            try:
                checkpoint = read_checkpoint(path)
                passed_over = self._foreign
                if check is not None:
                    check(checkpoint)
            except (ValueError, OSError) as error:
                passed_over.add(path)
                refused.setdefault(str(error), []).append(path.name)
                continue
            for sentence in _sentences(refused):
                warnings.warn(
                    f"a checkpoint is refused, and step {checkpoint.step} used instead; {sentence}",
                    stacklevel=2,
                )
            return checkpoint
        if refused:
            raise ValueError(
                f"none of the checkpoints in {str(self.folder)!r} can be used: "
                f"{'; '.join(_sentences(refused))}. Start anew in another folder, or remove this "
                "one"
            )
        return None

    def clear(self) -> None:
        """Deletes all checkpoints, and what killed processes have left unfinished."""
        for path in [*self.paths(), *self._unfinished()]:
            path.unlink(missing_ok=True)

    def _unfinished(self) -> Iterator[Path]:
        return self.folder.glob(f"*{_UNFINISHED}")

    def _delete_old(self, written: Path) -> None:
        passed_over = self._broken | self._foreign
        others = [path for path in self.paths() if path != written and path not in passed_over]
        for path in [*others[self.keep - 1 :], *(self._broken - {written}), *self._unfinished()]:
            path.unlink(missing_ok=True)
        self._broken.clear()


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint and checks it.

    Args:
        path: Its path, with the name it was given.

    Returns:
        What it holds.

    Raises:
        ValueError: If the file is not named as a checkpoint, its bytes are not those that were
            written, or it holds something else.
    """
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise ValueError(
            f"a checkpoint is named step-NUMBER-SHA256.npz; got {path.name!r}, which was not "
            "written by this package, or was renamed"
        )
    with path.open("rb") as file:
        found = _digest(file)
        if found != name[2]:
            size = path.stat().st_size
            raise ValueError(
                f"its bytes are not those that were written ({size:,} bytes with the SHA-256 "
                f"{found[:8]}..., not {name[2][:8]}...): it was cut short or changed"
            )
        file.seek(0)
        try:
            arrays, facts = _read_npz(file)
        except (zipfile.BadZipFile, zlib.error, LookupError, TypeError, ValueError, EOFError) as e:
            raise ValueError(
                "it must be a zip of the arrays and facts of a checkpoint; it is something else, "
                f"which this package has not written ({type(e).__name__})"
            ) from e
    return Checkpoint(int(name[1]), arrays, facts)


def _read_npz(file: BinaryIO) -> tuple[dict[str, NDArray[Any]], Mapping[str, Any]]:
    with np.load(file, allow_pickle=False) as members:
        facts = json.loads(bytes(members[_FACTS]).decode("utf-8"))
        arrays = {
            array: _as_written(members[f"array_{place}"], dtype)
            for place, (array, dtype) in enumerate(facts["arrays"])
        }
    return arrays, facts["facts"]


def _sentences(refused: Mapping[str, list[str]]) -> list[str]:
    return [f"{', '.join(names)}: {wrong}" for wrong, names in refused.items()]


class _Hashed:
    """A file to write to from its start to its end, and the digest of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    # Without `tell` and `seek`, so that nothing goes back and writes a part again.
    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def _write_npz(file: _Hashed, members: Mapping[str, NDArray[Any]]) -> None:
    """Does what `np.savez` does, which wants a file that can also be read."""
    with zipfile.ZipFile(file, "w") as archive:  # type: ignore[call-overload]
        for name, array in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _members(checkpoint: Checkpoint) -> dict[str, NDArray[Any]]:
    """Numbers the arrays: a member of a zip may not have any name, and not one twice."""
    arrays = {name: np.asarray(array) for name, array in checkpoint.arrays.items()}
    facts = {
        "arrays": [[name, str(array.dtype)] for name, array in arrays.items()],
        "facts": checkpoint.facts,
    }
    text = json.dumps(facts, allow_nan=True).encode("utf-8")
    members = {f"array_{place}": _plain(array) for place, array in enumerate(arrays.values())}
    return {**members, _FACTS: np.frombuffer(text, np.uint8)}


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Returns what NumPy can write: bfloat16 and its like as integers of their width."""
    if array.dtype.isbuiltin == 1:
        return array
    return array.view(f"uint{8 * array.dtype.itemsize}")


def _as_written(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    return array if str(array.dtype) == dtype else array.view(dtype)


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _step(path: Path) -> int:
    name = _NAME.fullmatch(path.name)
    assert name is not None  # `paths` lists no others
    return int(name[1])


def _sync_folder(folder: Path) -> None:
    """Makes a new name last; Windows has no way to, and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
