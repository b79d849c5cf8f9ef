from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf.tasks.images.resized_backbone import resized_backbone, resized_positions


class _Flat(keras.Model):
    """A backbone whose kernel has a row for each pixel."""

    def __init__(self, image_shape: tuple[int, int, int], **kwargs: Any) -> None:
        pixels = keras.Input(image_shape)
        x = keras.layers.Dense(2, name="dense")(keras.layers.Flatten()(pixels))
        super().__init__(pixels, x, **kwargs)
        self.image_shape = image_shape

    def get_config(self) -> dict[str, Any]:
        return {"image_shape": self.image_shape}


def test_where_nothing_changes_the_backbone_is_returned() -> None:
    backbone = _Flat((4, 4, 3))
    assert resized_backbone(backbone, 4, {"image_shape": (4, 4, 3)}) is backbone


def test_another_weight_that_depends_on_the_size_is_named() -> None:
    with pytest.raises(
        ValueError,
        match=r"position embedding can be resized; got dense/kernel, of shape \(48, 2\) and for "
        r"image_size=5 \(75, 2\): train with image_size=4",
    ):
        resized_backbone(_Flat((4, 4, 3)), 5)


def test_rows_and_columns_are_not_mixed_up() -> None:
    """A grid of 2 by 3 whose values are its row numbers, made 4 by 6, has equal columns."""
    table = np.array([[9.0], [0], [0], [0], [1], [1], [1]], "float32")
    resized = np.asarray(resized_positions(table, (2, 3), (4, 6)))
    assert resized.shape == (1 + 24, 1)
    assert resized[0, 0] == 9
    grid = resized[1:].reshape(4, 6)
    np.testing.assert_allclose(grid, np.repeat(grid[:, :1], 6, axis=1), atol=1e-6)
    assert (np.diff(grid[:, 0]) > 0).all()
