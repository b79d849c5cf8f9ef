"""The embedding of token ids as Transformers for translation have it."""

from typing import Any

import keras
from keras import ops

from rdrop_tf._typing import Tensor


@keras.saving.register_keras_serializable(package="rdrop_tf")
class PaddedNormal(keras.initializers.Initializer):
    """Draws the rows of an embedding from N(0, stddev²), but for the padding's, which is 0.

    Args:
        stddev: The standard deviation.
        pad_id: The number of the row of zeros.
    """

    def __init__(self, stddev: float, pad_id: int) -> None:
        self.stddev, self.pad_id = stddev, pad_id

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        """Returns the matrix."""
        matrix = keras.random.normal(shape, stddev=self.stddev, dtype=dtype)
        is_token = ops.arange(shape[0], dtype="int32") != self.pad_id
        return matrix * ops.expand_dims(ops.cast(is_token, matrix.dtype), -1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {"stddev": self.stddev, "pad_id": self.pad_id}


@keras.saving.register_keras_serializable(package="rdrop_tf")
class TokenEmbedding(keras.layers.Embedding):
    """Looks up token ids, times √width; the mask is False at padding.

    The matrix starts as N(0, 1 / width), so that what is looked up has a variance of 1; the row
    of the padding starts as 0, and changes only through a vocabulary head that shares it.

    Source: fairseq's `Embedding` and `TransformerEncoder`.

    Args:
        vocabulary_size: Rows of the matrix.
        width: Its columns.
        pad_id: The id of the padding.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Token ids, shape (...).

    Returns:
        Vectors, shape (..., width).

    Example:
    >>> from rdrop_tf.text.token_embedding import TokenEmbedding
    >>> import numpy as np
    >>> TokenEmbedding(100, 8)(np.array([[5, 7, 0]])).shape
    TensorShape([1, 3, 8])
    """

    def __init__(self, vocabulary_size: int, width: int, pad_id: int = 0, **kwargs: Any) -> None:
        initializer = PaddedNormal(width**-0.5, pad_id)
        super().__init__(vocabulary_size, width, embeddings_initializer=initializer, **kwargs)
        self.pad_id = pad_id
        self.supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        """Returns the scaled rows."""
        return super().call(inputs) * self.output_dim**0.5

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Tensor:
        """Returns True for tokens, False for padding."""
        return ops.not_equal(inputs, self.pad_id)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        names = ("name", "trainable", "dtype")
        inherited = {k: v for k, v in super().get_config().items() if k in names}
        own = {
            "vocabulary_size": self.input_dim,
            "width": self.output_dim,
            "pad_id": self.pad_id,
        }
        return {**inherited, **own}
