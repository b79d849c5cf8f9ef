"""Where the files of a language pair lie in a folder."""

from pathlib import Path
from typing import NamedTuple

# The names that data sets give to the same split.
_OTHER_NAMES = {
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "test_2016_flickr"),
}


class ParallelFiles(NamedTuple):
    """Two line-aligned files, or one of two columns.

    Attributes:
        source: The file of the sources, or that of both.
        target: The file of the targets; None where one has both.
        turned: Whether the targets are the first column.
    """

    source: Path
    target: Path | None
    turned: bool = False


def find_parallel(folder: str | Path, split: str, source: str, target: str) -> ParallelFiles:
    """Finds the two line-aligned files of a split, or its tsv file.

    Known are `train.de-en.de` beside `train.de-en.en` (the languages in either order) and
    `train.de` beside `train.en`, plain or with `.gz`; "validation" may also be called valid,
    val or dev, and "test" test_2016_flickr (Multi30k). Where no such two are, `train.de-en.tsv`,
    whose columns are in the order of its name, and `train.tsv`: source, then target.

    Args:
        folder: Where they lie.
        split: "train", "validation", "test", or the first part of the files' names.
        source: The source language, as in the names: "de".
        target: The target language.

    Returns:
        The paths.

    Raises:
        FileNotFoundError: If there is no such folder or no such files.

    Example:
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for language in ("de", "en"):
    ...     _ = (folder / f"valid.de-en.{language}").write_text("...")
    >>> found = find_parallel(folder, "validation", "en", "de")
    >>> found.source.name, found.target.name
    ('valid.de-en.en', 'valid.de-en.de')
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"the folder of the parallel files must exist; got {str(folder)!r}, which is none"
        )
    stems = [
        f"{name}{pair}"
        for name in _OTHER_NAMES.get(split, (split,))
        for pair in (f".{source}-{target}", f".{target}-{source}", "")
    ]
    for stem in stems:
        sides = [_plain_or_gz(folder, f"{stem}.{language}") for language in (source, target)]
        if sides[0] is not None and sides[1] is not None:
            return ParallelFiles(sides[0], sides[1])
    for stem in stems:
        both = _plain_or_gz(folder, f"{stem}.tsv")
        if both is not None:
            return ParallelFiles(both, None, turned=stem.endswith(f".{target}-{source}"))
    names = ", ".join(f"{stem}.{source}" for stem in stems)
    raise FileNotFoundError(
        f"the {split} texts must be in {str(folder)!r} as one of {names}, each with the same "
        f"name in .{target} beside it, or as .tsv of two columns, plain or .gz; none of these is "
        "there"
    )


def _plain_or_gz(folder: Path, name: str) -> Path | None:
    paths = [folder / name, folder / f"{name}.gz"]
    return next((path for path in paths if path.is_file()), None)
