"""The folder of one run: plain files that anything can read."""

import csv
import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from rdrop_tf.recipes import Recipe

_UNFINISHED = ".unfinished"
EpochCurves = dict[str, list[float | None]]


class RunFolder:
    """Where a run's files lie and how they are read and written.

    - `config.json`: the recipe, alpha and seed; what it takes to run it again
    - `environment.json`: machine and versions
    - `steps.csv`: one row a training step
    - `epochs.csv`: one row an epoch
    - `checkpoints/last.keras`: the model after the last epoch
    - `checkpoints/best.keras`: the model after the epoch best by validation
    - `result.json`: the final figures
    - `plot.png`: the learning curves
    - `unfinished/`: until the run has ended, what it needs to go on

    Args:
        path: The folder.
        chiefs: That of the chief, if this is another worker's.

    Example:
    >>> import tempfile
    >>> folder = RunFolder.create(Path(tempfile.mkdtemp()) / "run")
    >>> folder.write_json("result.json", {"test": 0.9})
    >>> folder.read_json("result.json")
    {'test': 0.9}
    """

    def __init__(self, path: Path, chiefs: Path | None = None) -> None:
        self.path, self._chiefs = path, chiefs
        self._aside: Any = None

    @classmethod
    def of_worker(cls, chiefs: Path) -> "RunFolder":
        """Makes a folder for a worker that is not the chief, to write what no one reads.

        It is gone when the process ends. What it takes to go on is in the chief's.
        """
        aside = tempfile.TemporaryDirectory()
        run = cls(Path(aside.name), chiefs)
        run._aside = aside
        return run

    @classmethod
    def create(cls, path: Path) -> "RunFolder":
        """Makes the folder.

        Raises:
            ValueError: If it exists and holds something: a run never overwrites another.
        """
        begun = path / f"config.json{_UNFINISHED}"  # of a process that came no further
        if path.exists() and (not path.is_dir() or any(p != begun for p in path.iterdir())):
            raise ValueError(
                f"a run needs a new or empty folder; got {str(path)!r}, which holds something: "
                "choose another one or remove it"
            )
        path.mkdir(parents=True, exist_ok=True)
        return cls(path)

    @classmethod
    def create_or_resume(cls, path: Path, config: Mapping[str, Any]) -> "RunFolder":
        """Makes the folder, or takes that of a run of the same settings.

        Raises:
            ValueError: If it holds a run of other settings, or something else.
        """
        file = path / "config.json"
        if not file.is_file():
            return cls.create(path)
        run = cls(path)
        # Read back, as a tuple comes out of a file as a list.
        wanted, found = _plain(config), _with_defaults(run.read_json("config.json"))
        if wanted != found:
            raise ValueError(
                f"a run goes on with the settings it began with; got {path} with "
                f"{_difference(found, wanted)}: give the same ones, or another folder"
            )
        return run

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Opens the folder of a run that has ended.

        Raises:
            ValueError: If it is none, or holds no result yet.
        """
        if cls(path).checkpoint("last").is_file():
            return cls(path)
        inner = sorted(path.glob("*/checkpoints/last.keras"))
        if inner:
            raise ValueError(
                f"a run is wanted; got the comparison {str(path)!r}: name one of its runs, such "
                f"as {str(inner[0].parent.parent)!r}"
            )
        raise ValueError(
            f"a run is a folder that holds checkpoints/last.keras; got {str(path)!r}, which does "
            "not: name the folder of a run that has ended"
        )

    @property
    def steps(self) -> Path:
        """Returns the path of the figures by step."""
        return self.path / "steps.csv"

    @property
    def epochs(self) -> Path:
        """Returns the path of the figures by epoch."""
        return self.path / "epochs.csv"

    @property
    def unfinished(self) -> Path:
        """Returns the folder of what a training needs to go on, until it has ended."""
        return (self._chiefs or self.path) / "unfinished"

    def forget_unfinished(self) -> None:
        """Removes what it takes to go on, of a run that has ended; the chief alone does."""
        if self._chiefs is None:
            shutil.rmtree(self.unfinished, ignore_errors=True)

    @property
    def has_ended(self) -> bool:
        """Whether the run has its result."""
        return ((self._chiefs or self.path) / "result.json").is_file()

    def read_result(self) -> dict[str, Any]:
        """Reads the result of a run that has ended."""
        return RunFolder(self._chiefs or self.path).read_json("result.json")

    @property
    def plot(self) -> Path:
        """Returns the path of the picture."""
        return self.path / "plot.png"

    def checkpoint(self, which: str) -> Path:
        """Returns the path of the checkpoint "last" or "best"."""
        return self.path / "checkpoints" / f"{which}.keras"

    def save(self, model: keras.Model, which: str) -> None:
        """Writes the checkpoint "last" or "best"."""
        self.checkpoint(which).parent.mkdir(exist_ok=True)
        model.save(self.checkpoint(which))

    def load(self, which: str) -> keras.Model:
        """Reads the checkpoint "last" or "best".

        As the file may have come from anywhere, it is read in Keras' safe mode, which makes no
        layer out of code that lies in it, and without further classes.

        Raises:
            ValueError: If it is no model, or one that is refused.
        """
        path = self.checkpoint(which)
        try:
            # Keras warns, no more, of paths that lead out of the file and of weights it lacks.
            with warnings.catch_warnings():
                warnings.filterwarnings("error", category=UserWarning)
                return keras.saving.load_model(path, compile=False, safe_mode=True)
        # What is wrong with a made-up file may come out anywhere in Keras.
        except Exception as error:
            raise ValueError(
                f"a checkpoint must be a model that `rdrop train` wrote; got {path}, of which "
                f"Keras says: {' '.join(str(error).split())}"
            ) from error

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Writes a json file that people can read too; it is whole or not there."""
        write_whole(self.path / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Reads a json file.

        Raises:
            ValueError: If it is none.
        """
        path = self.path / name
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            wrong = None if isinstance(content, dict) else f"a {type(content).__name__} in it"
        except ValueError as error:  # also of letters that are none
            wrong = str(error)
        if wrong is not None:
            raise ValueError(
                f"{name} of a run must be the json object that was written; got {str(path)!r} with "
                f"{wrong}: it was cut short or changed, take another folder or remove it"
            )
        return dict(content)


def write_whole(path: Path, text: str) -> None:
    """Writes a text file that is whole, or as it was before.

    Raises:
        OSError: If the disk does not take it.
    """
    aside = path.with_name(f"{path.name}{_UNFINISHED}")
    try:
        with aside.open("w", newline="", encoding="utf-8") as file:
            file.write(text)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _plain(config: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(config))


def _with_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """Adds what recipes had no word for when the run began."""
    try:
        recipe = Recipe.from_dict(config["recipe"])
    except (KeyError, TypeError):
        return config
    return {**config, "recipe": _plain(recipe.as_dict())}


def _difference(found: Any, wanted: Any, name: str = "") -> str:
    """Names the first setting that differs."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*found, *(key for key in wanted if key not in found)]:
            if found.get(key) != wanted.get(key):
                return _difference(found.get(key), wanted.get(key), f"{name}.{key}".lstrip("."))
    return f"{name}={found!r}, not {wanted!r}"


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows of the same fields as csv, the fields' names first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_columns(path: Path) -> EpochCurves:
    """Reads a csv of numbers by column; an empty cell is None."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) if row[name] else None for row in rows] for name in rows[0]}
