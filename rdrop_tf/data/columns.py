"""How the arrays of a row are kept in a record."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Larger images are compressed without loss.
PLAIN_PIXELS = 64 * 64


class Column(NamedTuple):
    """How one array of each row is kept.

    Attributes:
        kind: "whole" numbers, "real" numbers, "text", "pixels", or "png".
        dtype: Of the arrays that are read.
        shape: Of a row's array; the last dimension of "whole" ones is None where rows differ.
    """

    kind: str
    dtype: str
    shape: tuple[int | None, ...]


def parse(records: Any, columns: Mapping[str, Column]) -> dict[str, Any]:
    """Turns a batch of records into arrays.

    Args:
        records: A string tensor of `tf.train.Example`s.
        columns: What they hold.

    Returns:
        The arrays by name.
    """
    import tensorflow as tf

    parsed = tf.io.parse_example(records, {n: _feature(c) for n, c in columns.items()})
    return {name: _restored(parsed[name], column) for name, column in columns.items()}


def has_length(column: Column) -> bool:
    """Whether a column's rows may differ in length; zeros at their ends are not kept."""
    return column.kind == "whole" and len(column.shape) == 1


def column_of(name: str, array: NDArray[Any]) -> Column:
    """Says how an array is kept."""
    if array.dtype.kind in "OUS":
        return Column("text", "string", array.shape)
    if array.dtype == np.uint8 and array.ndim == 3:
        large = array.shape[0] * array.shape[1] > PLAIN_PIXELS and array.shape[2] in (1, 3)
        return Column("png" if large else "pixels", "uint8", array.shape)
    if array.dtype.kind in "iub":
        return Column("whole", array.dtype.name, array.shape)
    if array.dtype == np.float32:
        return Column("real", "float32", array.shape)
    raise ValueError(
        "a column must hold whole numbers, float32, texts, or uint8 images (height, width, "
        f"channels). Received: {array.dtype} in {name!r}"
    )


def kept(array: NDArray[Any], column: Column) -> Any:
    """Returns an array as a `tf.train.Feature`."""
    import tensorflow as tf

    if column.kind == "whole":
        flat = np.trim_zeros(array, "b") if array.ndim == 1 else array.ravel()
        return tf.train.Feature(int64_list=tf.train.Int64List(value=flat.astype(np.int64)))
    if column.kind == "real":
        return tf.train.Feature(float_list=tf.train.FloatList(value=array.ravel()))
    if column.kind == "text":
        texts = [str(text).encode() for text in array.ravel()]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
    pixels = array.tobytes() if column.kind == "pixels" else tf.io.encode_png(array).numpy()
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[pixels]))


def _feature(column: Column) -> Any:
    """Says how a column is parsed."""
    import tensorflow as tf

    if has_length(column):
        return tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
    if column.kind in ("pixels", "png"):
        return tf.io.FixedLenFeature([], tf.string)
    kinds = {"whole": tf.int64, "real": tf.float32, "text": tf.string}
    return tf.io.FixedLenFeature(list(column.shape), kinds[column.kind])


def _restored(values: Any, column: Column) -> Any:
    import tensorflow as tf

    if isinstance(values, tf.RaggedTensor):
        values = values.to_tensor(shape=[None, column.shape[0]])
    if column.kind == "pixels":
        flat = tf.io.decode_raw(values, tf.uint8, fixed_length=int(np.prod(column.shape)))  # type: ignore[arg-type]
        return tf.reshape(flat, [-1, *column.shape])
    if column.kind == "png":
        spec = tf.TensorSpec(column.shape, tf.uint8)
        decode = lambda png: tf.ensure_shape(  # noqa: E731
            tf.io.decode_png(png, channels=column.shape[2]), column.shape
        )
        return tf.map_fn(decode, values, fn_output_signature=spec)
    return values if column.dtype == "string" else tf.cast(values, column.dtype)
