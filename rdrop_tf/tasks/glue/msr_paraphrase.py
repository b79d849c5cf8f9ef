"""MRPC as Microsoft publishes it: one training file, split by GLUE's list of pairs."""

from pathlib import Path

from rdrop_tf.tasks.glue.table import Table, read_table

TRAINING_FILE = "msr_paraphrase_train.txt"
ID_COLUMNS = ("#1 ID", "#2 ID")
_VALIDATION_PAIRS = "dev_ids.tsv"


def part_of_msr_paraphrase(table: Table, split: str) -> Table:
    r"""Keeps the rows of one split.

    GLUE names the pairs of its validation part in `dev_ids.tsv`, two ids a line without a
    header; its download script puts that file beside the other ones.

    Args:
        table: Microsoft's training file, with its columns of ids.
        split: "train" or "validation".

    Returns:
        The rows of that split.

    Raises:
        FileNotFoundError: If `dev_ids.tsv` is missing.

    Example:
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "dev_ids.tsv").write_text("3\t4\n")
    >>> ids = {"#1 ID": ["1", "3"], "#2 ID": ["2", "4"]}
    >>> table = Table(folder / TRAINING_FILE, ids, [2, 3], [0, 1])
    >>> part_of_msr_paraphrase(table, "validation").positions
    [1]
    """
    chosen = _validation_pairs(table.path.with_name(_VALIDATION_PAIRS))
    pairs = zip(*(table.columns[name] for name in ID_COLUMNS), strict=True)
    return table.only([(pair in chosen) == (split == "validation") for pair in pairs])


def _validation_pairs(path: Path) -> set[tuple[str, ...]]:
    if not path.is_file():
        raise FileNotFoundError(
            f"Microsoft's {TRAINING_FILE} must be split by GLUE's list of validation pairs; "
            f"{str(path)!r} does not exist: put GLUE's dev_ids.tsv there, or its train.tsv and "
            "dev.tsv"
        )
    table = read_table(path, ID_COLUMNS, header=ID_COLUMNS)
    return set(zip(*table.columns.values(), strict=True))
