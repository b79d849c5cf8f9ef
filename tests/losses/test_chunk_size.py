import pytest

from rdrop_tf.losses.chunk_size import chunk_size

SHAPES = [(p, v, b) for p in (1, 2, 3) for v in (2, 507, 10_007, 256_000) for b in (4, 8)]


@pytest.mark.parametrize(("passes", "classes", "item_bytes"), SHAPES)
def test_a_chunk_is_what_256_rows_or_32_mib_or_32_rows_take(passes, classes, item_bytes):
    together = passes * chunk_size(passes, classes, None, item_bytes)
    row, filled_up = classes * item_bytes, passes - 1
    assert 32 <= together <= 256 + filled_up
    assert together <= max(32, 32 * 2**20 / row) + filled_up
    assert together >= 256 or (together + 1) * row > 32 * 2**20


@pytest.mark.parametrize(("passes", "classes", "item_bytes"), SHAPES)
@pytest.mark.parametrize("rows", [0, 1, 7, 252, 2048, 100_003])
def test_known_rows_are_cut_into_as_few_and_equal_chunks_as_that_allows(
    passes, classes, item_bytes, rows
):
    most = chunk_size(passes, classes, None, item_bytes)
    size = chunk_size(passes, classes, rows, item_bytes)
    chunks = -(-rows // size)
    assert 1 <= size <= max(1, min(most, rows))
    assert chunks == -(-rows // most)
    # Less than one row of each chunk is filled up.
    assert chunks * size - rows < max(1, chunks)
