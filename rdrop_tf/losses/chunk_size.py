"""How many rows of a vocabulary head are computed at a time."""

# Rows of all passes together. More gain nothing and leave the caches; with fewer, adding to the
# kernel's gradient costs as much as the products: see docs/cost.md for the sweep.
_MOST_ROWS, _FEWEST_ROWS = 256, 32
# Bytes of one array of logits, of which about six live at a time.
_LOGITS_BYTES = 32 * 2**20


def chunk_size(passes: int, classes: int, rows: int | None, item_bytes: int = 4) -> int:
    """Chooses the rows of each pass that are projected at a time.

    That is 256 rows of all passes together, fewer where their logits would take more than 32 MiB,
    but at least 32. Known rows are cut into chunks of nearly equal size.

    Args:
        passes: Number of passes.
        classes: Number of classes.
        rows: Rows of each pass, None where only a step knows them.
        item_bytes: Bytes of one logit as the loss computes with it.

    Returns:
        Rows of each pass.

    Example:
    >>> chunk_size(passes=2, classes=10_000, rows=2048)
    128
    >>> chunk_size(passes=2, classes=256_000, rows=None)
    16
    """
    together = _LOGITS_BYTES // (classes * item_bytes)
    most = -(-min(_MOST_ROWS, max(_FEWEST_ROWS, together)) // passes)
    if rows is None:
        return most
    chunks = max(1, -(-rows // most))
    return max(1, -(-rows // chunks))
