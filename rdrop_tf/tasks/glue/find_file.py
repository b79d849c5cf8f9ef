"""Where the file of a GLUE split lies in a user's folder."""

from pathlib import Path

from rdrop_tf.tasks.glue.dataset import GlueDataset
from rdrop_tf.tasks.glue.datasets import plain_name


def find_file(dataset: GlueDataset, split: str, folder: Path) -> Path:
    """Finds the official file of a split.

    Args:
        dataset: The data set.
        split: One of its splits.
        folder: A folder that holds the data set's folder, under any usual spelling of its
            name, or is that folder itself.

    Returns:
        The file's path.

    Raises:
        ValueError: If the data set has no such split.
        FileNotFoundError: If there is no such folder or file.

    Example:
    >>> import tempfile
    >>> from rdrop_tf.tasks.glue import find_glue_dataset
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "mrpc").mkdir()
    >>> _ = (folder / "mrpc" / "dev.tsv").write_text("")
    >>> find_file(find_glue_dataset("MRPC"), "validation", folder).parts[-2:]
    ('mrpc', 'dev.tsv')
    """
    check_split(dataset, split)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"the folder of GLUE's files must exist; got {str(folder)!r}, which is none: name "
            f"the folder that holds {dataset.name}"
        )
    candidates = [
        place / name for place in _places(dataset, folder) for name in dataset.files[split]
    ]
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"the {split} rows of {dataset.name} must be in "
        f"{' or '.join(repr(str(path)) for path in candidates)}; none of them exists: name the "
        "folder that holds the official tsv files"
    )


def check_split(dataset: GlueDataset, split: str) -> None:
    """Checks the name of a split.

    Args:
        dataset: The data set.
        split: A name.

    Raises:
        ValueError: If the data set has no such split.

    Example:
    >>> from rdrop_tf.tasks.glue import find_glue_dataset
    >>> check_split(find_glue_dataset("MNLI"), "validation_matched")
    """
    if split not in dataset.splits:
        raise ValueError(
            f"a split of {dataset.name} must be one of {', '.join(dataset.splits)}; got {split!r}"
        )


def _places(dataset: GlueDataset, folder: Path) -> list[Path]:
    """Lists where to look, the official name first even where it does not exist."""
    names = (dataset.name, *dataset.folders)
    spellings = {plain_name(name) for name in names}
    inside = [child for child in sorted(folder.iterdir()) if plain_name(child.name) in spellings]
    official = [folder / name for name in names]
    return [*dict.fromkeys([*official, *inside]), folder]
