"""How many rows of a vocabulary head are computed at a time."""

# Bytes of one array of logits: near what the caches hold; see docs/cost.md for the sweep.
_LOGITS_BYTES = 12 * 2**20
# Matrix products of fewer rows no longer keep a core busy.
_FEWEST_ROWS = 32


def chunk_size(passes: int, classes: int, rows: int | None, item_bytes: int = 4) -> int:
    """Chooses the rows of each pass that are projected at a time.

    The logits of a chunk, of all passes, take about 12 MiB, or what 32 rows take where that is
    more. Known rows are cut into chunks of nearly equal size.

    Args:
        passes: Number of passes.
        classes: Number of classes.
        rows: Rows of each pass, None where only a step knows them.
        item_bytes: Bytes of one logit as the loss computes with it.

    Returns:
        Rows of each pass.

    Example:
    >>> chunk_size(passes=2, classes=10_000, rows=2048)
    147
    >>> chunk_size(passes=2, classes=256_000, rows=None)
    16
    """
    most = max(_LOGITS_BYTES // (passes * classes * item_bytes), -(-_FEWEST_ROWS // passes))
    if rows is None:
        return most
    chunks = max(1, -(-rows // most))
    return max(1, -(-rows // chunks))
