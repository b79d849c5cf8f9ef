"""A vision transformer small enough to train in seconds on a processor."""

import keras
from keras import layers

from rdrop_tf._typing import Tensor
from rdrop_tf.tasks.precision import LOGITS


def tiny_vit(
    *,
    image_size: int,
    patch_size: int,
    max_pixel: float,
    num_classes: int,
    depth: int,
    width: int,
    heads: int,
    hidden: int,
    dropout: float,
    channels: int = 1,
) -> keras.Model:
    """Builds a pre-norm vision transformer for square images.

    Made of Keras layers alone, so a saved model loads with plain Keras. Dropout acts where the
    original has it: after the position embedding, on the attention weights, and behind each
    of the two blocks of a layer and the hidden units of the second.

    Args:
        image_size: Rows (and columns) of an image, a multiple of `patch_size`.
        patch_size: Rows (and columns) of a patch; each patch is one token.
        max_pixel: The largest pixel value; pixels are scaled to 0..1 inside the model.
        num_classes: How many logits come out.
        depth: Transformer layers.
        width: Features of a token, a multiple of `heads`.
        heads: Attention heads.
        hidden: Features between the two projections of the feed-forward block.
        dropout: The rate, the same everywhere.
        channels: Numbers a pixel has: 1 for grey, 3 for colour.

    Returns:
        A functional model from (batch, image_size, image_size, channels) to logits
        (batch, num_classes).

    Raises:
        ValueError: If the patches do not tile the image or the heads do not share the width.

    Example:
    >>> model = tiny_vit(image_size=8, patch_size=2, max_pixel=16, num_classes=10,
    ...                  depth=2, width=64, heads=4, hidden=128, dropout=0.1)
    >>> model.input_shape, model.output_shape
    ((None, 8, 8, 1), (None, 10))
    """
    _check_divides("patch_size", patch_size, "image_size", image_size)
    _check_divides("heads", heads, "width", width)
    pixels = keras.Input((image_size, image_size, channels), name="pixels")
    x = layers.Rescaling(1.0 / max_pixel)(pixels)
    x = _patches(x, patch_size)
    x = _embed(x, width)
    x = layers.Dropout(dropout)(x)
    for _ in range(depth):
        x = _attention_block(x, width, heads, dropout)
        x = _feed_forward_block(x, width, hidden, dropout)
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.GlobalAveragePooling1D()(x)
    logits = layers.Dense(num_classes, dtype=LOGITS, name="logits")(x)
    return keras.Model(pixels, logits, name="tiny_vit")


def _patches(pixels: Tensor, patch_size: int) -> Tensor:
    """Cuts images into flat patches: (batch, size, size, c) to (batch, tokens, patch² c)."""
    _, image_size, _, channels = pixels.shape
    side = image_size // patch_size
    x = layers.Reshape((side, patch_size, side, patch_size, channels))(pixels)
    x = layers.Permute((1, 3, 2, 4, 5))(x)
    return layers.Reshape((side * side, patch_size * patch_size * channels))(x)


def _embed(patches: Tensor, width: int) -> Tensor:
    """Projects each patch and adds a learned position.

    The position embedding is the projection's bias, with an axis for the token: one layer of
    Keras does both, and no class of our own has to be registered for loading.
    """
    return layers.EinsumDense(
        "btp,pd->btd",
        output_shape=(patches.shape[1], width),
        bias_axes="td",
        bias_initializer=keras.initializers.RandomNormal(stddev=0.02),
        name="patch_and_position_embedding",
    )(patches)


def _attention_block(x: Tensor, width: int, heads: int, dropout: float) -> Tensor:
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.MultiHeadAttention(heads, width // heads, dropout=dropout)(y, y)
    return layers.Add()([x, layers.Dropout(dropout)(y)])


def _feed_forward_block(x: Tensor, width: int, hidden: int, dropout: float) -> Tensor:
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.Dense(hidden, activation="gelu")(y)
    y = layers.Dropout(dropout)(y)
    y = layers.Dense(width)(y)
    return layers.Add()([x, layers.Dropout(dropout)(y)])


def _check_divides(name: str, value: int, whole_name: str, whole: int) -> None:
    if value < 1 or whole % value:
        raise ValueError(
            f"{name} must divide {whole_name}; got {name}={value} and {whole_name}={whole}: "
            f"choose a divisor of {whole}"
        )
