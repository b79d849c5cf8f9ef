"""The examples of a GLUE split, whichever source they come from."""

from typing import Any, NamedTuple

from numpy.typing import NDArray


class GlueRows(NamedTuple):
    """The rows of one split, in the order of the official file.

    Texts carry no blanks at their ends: SST-2's official files put one behind every
    sentence, and no user types it.

    `texts` holds one list of texts, or two of equal length for pairs. `labels` are class
    numbers (int32) or scores (float32), shape (rows,); None for test rows. `ids` number the
    rows (int32): in the official test files as those do, elsewhere from 0 in the source.
    """

    texts: tuple[list[str], ...]
    labels: NDArray[Any] | None
    ids: NDArray[Any]
