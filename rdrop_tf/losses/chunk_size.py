"""How many rows of a vocabulary head are computed at a time."""

# Each chunk adds a matrix of the kernel's size to the kernel's gradient. From some hundred rows on,
# whatever the vocabulary, that is little beside the products; many more leave the caches. See
# docs/cost.md for the sweep.
_MOST_ROWS = 256
# Bytes of one array of logits; several are held at a time.
_LOGITS_BYTES = 32 * 2**20
# Matrix products of fewer rows no longer keep a core busy.
_FEWEST_ROWS = 32


def chunk_size(passes: int, classes: int, rows: int | None, item_bytes: int = 4) -> int:
    """Chooses the rows of each pass that are projected at a time.

    A chunk holds 256 rows, counted over all passes; fewer where their logits would take more than
    32 MiB, but no fewer than 32. Known rows are cut into chunks of nearly equal size.

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
    fitting = min(_MOST_ROWS, _LOGITS_BYTES // (classes * item_bytes))
    most = -(-max(fitting, _FEWEST_ROWS) // passes)
    if rows is None:
        return most
    chunks = max(1, -(-rows // most))
    return max(1, -(-rows // chunks))
