"""The embedding of tokens by itself."""

import keras
import numpy as np

from rdrop_tf.text.token_embedding import PaddedNormal, TokenEmbedding


def test_rows_are_scaled_and_padding_is_masked() -> None:
    layer, ids = TokenEmbedding(50, 16, pad_id=3), np.array([[7, 3, 0]])
    y = layer(ids)
    matrix = layer.get_weights()[0]
    np.testing.assert_allclose(y, matrix[ids] * 4, rtol=1e-6)
    np.testing.assert_array_equal(keras.src.backend.get_keras_mask(y), [[True, False, True]])


def test_what_is_saved_makes_the_same_layer() -> None:
    layer = TokenEmbedding(50, 16, pad_id=3, name="tokens", dtype="mixed_bfloat16")
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert isinstance(again, TokenEmbedding)
    assert again.get_config() == layer.get_config()
    assert (again.pad_id, again.dtype_policy.name) == (3, "mixed_bfloat16")
    start = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(PaddedNormal(0.5, 3))
    )
    assert (start.stddev, start.pad_id) == (0.5, 3)
