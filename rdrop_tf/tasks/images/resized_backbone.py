"""Pre-trained image backbones for images of another size."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from rdrop_tf._typing import Tensor


def resized_backbone(
    backbone: Any, image_size: int, settings: Mapping[str, Any] | None = None
) -> Any:
    """Rebuilds a KerasHub backbone for another size of images, with its weights.

    All weights stay as they are but a vision transformer's position embedding, which is
    resized to the new grid of patches.

    Args:
        backbone: A `keras_hub.models.Backbone` of images.
        image_size: Rows (and columns) of the new images.
        settings: Further settings of its class to change, such as the dropout rate.

    Returns:
        A new backbone; the given one where nothing changes.

    Raises:
        ValueError: If the patches do not tile such images, or a weight's shape depends on the
            size and is no position embedding.

    Example:
    >>> import keras_hub
    >>> backbone = keras_hub.models.ViTBackbone(
    ...     image_shape=(16, 16, 3), patch_size=8, num_layers=1, num_heads=2, hidden_dim=4,
    ...     mlp_dim=4)
    >>> resized_backbone(backbone, 24).output_shape
    (None, 10, 4)
    """
    config = backbone.get_config()
    changed = {**_new_shape(config, image_size), **(settings or {})}
    if all(config[name] == value for name, value in changed.items()):
        return backbone
    rebuilt = type(backbone).from_config({**config, **changed})
    for old, new in zip(backbone.weights, rebuilt.weights, strict=True):
        new.assign(old if old.shape == new.shape else _fitted(old, new, config, image_size))
    return rebuilt


def resized_positions(table: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Resizes a position embedding bicubically; positions of no patch are kept.

    Args:
        table: Shape (positions, width): first those of tokens that are no patches (the class
            token), then the patches', row by row.
        old: Rows and columns of the grid of patches.
        new: Those of the new grid.

    Returns:
        Shape (new positions, width).

    Example:
    >>> tuple(resized_positions(ops.ones((1 + 4, 8)), (2, 2), (3, 3)).shape)
    (10, 8)
    """
    tokens = table.shape[0] - old[0] * old[1]
    grid = ops.reshape(table[tokens:], (*old, -1))
    grid = ops.image.resize(grid, new, interpolation="bicubic", data_format="channels_last")
    return ops.concatenate([table[:tokens], ops.reshape(grid, (new[0] * new[1], -1))])


def _new_shape(config: Mapping[str, Any], image_size: int) -> dict[str, Any]:
    """Returns the setting to change; a network without a fixed size takes any."""
    old = config.get("image_shape")
    if old is None or None in old[:2]:
        return {}
    for patch_size in _pair(config.get("patch_size", 1)):
        if image_size % patch_size:
            raise ValueError(
                "the image size must be a multiple of the backbone's patch size; got "
                f"image_size={image_size} and patches of {patch_size}: set it to "
                f"{-(-image_size // patch_size) * patch_size}"
            )
    return {"image_shape": type(old)((image_size, image_size, old[2]))}


def _fitted(
    old: keras.Variable, new: keras.Variable, config: Mapping[str, Any], image_size: int
) -> Tensor:
    if "position_embedding" not in old.path:
        raise ValueError(
            f"only a position embedding can be resized; got {old.path}, of shape "
            f"{tuple(old.shape)} and for image_size={image_size} {tuple(new.shape)}: train with "
            f"image_size={config['image_shape'][0]}"
        )
    rows, columns = _pair(config["patch_size"])
    grid = (config["image_shape"][0] // rows, config["image_shape"][1] // columns)
    table = ops.reshape(old, (-1, old.shape[-1]))
    resized = resized_positions(table, grid, (image_size // rows, image_size // columns))
    return ops.reshape(resized, new.shape)


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)
