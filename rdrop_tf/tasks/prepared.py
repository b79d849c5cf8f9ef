"""A task's parts as shards: written once, read while they are used, whatever their size."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from keras import tree

from rdrop_tf.data import Shards, write_shards
from rdrop_tf.data.shards import Row
from rdrop_tf.tasks.parts import Examples, NumberedRows, Part, Splits

DESCRIPTION = "prepared.json"
_ROWS_AT_ONCE = 256
_MORE = "more-"


class Prepared:
    """The folder that `Task.prepare` wrote.

    Args:
        folder: Where it lies.
        settings: What its rows must have been made by.

    Raises:
        ValueError: If they were made by others.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        self.kept: Mapping[str, Any] = description["kept"]
        _check_settings(folder, description["settings"], settings)

    def splits(self) -> Splits:
        """Returns the parts, to be read while they are used."""
        more = {
            path.name.removeprefix(_MORE): self.part(path.name)
            for path in sorted(self.folder.glob(f"{_MORE}*"))
        }
        return Splits(self.part("train"), self.part("validation"), self.part("test"), more)

    def shards(self, name: str) -> Shards:
        """Returns a part's shards."""
        return Shards(self.folder / name)

    def part(self, name: str) -> NumberedRows:
        """Returns a part (x, y)."""
        shards = self.shards(name)
        return NumberedRows(lambda numbers: _as_pair(shards.read(numbers)), len(shards))

    def sizes(self, name: str) -> Any:
        """Returns what tells the bytes of a part's rows from their numbers."""
        return self.shards(name).records.sizes


def is_prepared(folder: str) -> bool:
    """Whether a folder holds what `Task.prepare` wrote."""
    return (Path(folder) / DESCRIPTION).is_file()


def write_parts(folder: Path, splits: Splits) -> dict[str, int]:
    """Writes the parts of a task.

    Args:
        folder: A new or empty folder.
        splits: The parts.

    Returns:
        The rows of each part.
    """
    parts: dict[str, Part] = {
        "train": splits.train,
        "validation": splits.validation,
        "test": splits.test,
        **{_MORE + word: part for word, part in splits.more.items()},
    }
    return {name: write_shards(rows_of(part), folder / name) for name, part in parts.items()}


def describe(folder: Path, settings: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """Writes what was prepared and how; as the last file, for then it is whole."""
    text = json.dumps({"settings": settings, "kept": kept}, indent=2)
    aside = folder / f"{DESCRIPTION}.part"
    aside.write_text(text + "\n", encoding="utf-8")
    os.replace(aside, folder / DESCRIPTION)


def rows_of(part: Part) -> Iterator[Row]:
    """Returns the rows of a part one by one, as columns."""
    if isinstance(part, Examples):
        columns = _as_columns(*part)
        for number in range(part.rows):
            yield {name: leaf[number] for name, leaf in columns.items()}
        return
    for batch in part.batched(_ROWS_AT_ONCE).as_numpy_iterator():
        columns = _as_columns(*batch)
        for number in range(len(columns["y"])):
            yield {name: leaf[number] for name, leaf in columns.items()}


def _as_columns(x: Any, y: Any) -> dict[str, Any]:
    if isinstance(x, dict):
        return {**{f"x/{name}": leaf for name, leaf in x.items()}, "y": y}
    return {**tree.map_structure(np.asarray, {"x": x}), "y": y}


def _as_pair(columns: dict[str, Any]) -> tuple[Any, Any]:
    y = columns.pop("y")
    if "x" in columns:
        return columns["x"], y
    return {name.removeprefix("x/"): leaf for name, leaf in columns.items()}, y


def _check_settings(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    wanted = json.loads(json.dumps(wanted))
    differing = sorted(n for n in found.keys() | wanted.keys() if found.get(n) != wanted.get(n))
    if differing:
        name = differing[0]
        raise ValueError(
            "data are prepared for the settings of one recipe; got "
            f"{str(folder)!r}, prepared with {name}={json.dumps(found.get(name))}, for a recipe "
            f"with {json.dumps(wanted.get(name))}: prepare them anew by `rdrop prepare`"
        )
