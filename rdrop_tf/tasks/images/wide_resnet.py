"""Wide residual networks, which learn 32×32 images from nothing."""

import keras
from keras import layers

from rdrop_tf._typing import Tensor
from rdrop_tf.tasks.precision import LOGITS


def wide_resnet(
    *,
    image_size: int,
    num_classes: int,
    depth: int,
    width: int,
    dropout: float,
    channels: int = 3,
) -> keras.Model:
    """Builds WRN-depth-width (Zagoruyko and Komodakis 2016, arXiv 1605.07146).

    Three groups of (depth - 4) / 6 blocks, with 16, 32 and 64 features times `width`. A block
    is batch normalisation, ReLU, convolution, the same again with dropout before the second
    convolution, and the way around it. Made of Keras layers alone, so a saved model loads with
    plain Keras. WRN-28-10 has 36.5 million weights, WRN-16-4 2.7 million.

    Args:
        image_size: Rows (and columns) of an image.
        num_classes: How many logits come out.
        depth: Convolutions, those that lead around blocks included: 10, 16, 22, 28 ...
        width: How many times wider than the narrowest a block is.
        dropout: The rate between the two convolutions of a block; the paper uses .3.
        channels: Numbers a pixel has: 1 for grey, 3 for colour.

    Returns:
        A functional model from images (batch, image_size, image_size, channels) with values
        0..255, uint8 or float, to logits (batch, num_classes).

    Raises:
        ValueError: If there is no network of this depth, or the width is below 1.

    Example:
    >>> model = wide_resnet(image_size=32, num_classes=10, depth=16, width=1, dropout=0.3)
    >>> model.input_shape, model.output_shape, model.count_params()
    ((None, 32, 32, 3), (None, 10), 175994)
    """
    blocks = _blocks_a_group(depth)
    if width < 1:
        raise ValueError(f"width must be 1 or more; got width={width}")
    pixels = keras.Input((image_size, image_size, channels), name="pixels")
    x = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32")(pixels)
    x = _convolution(x, 16)
    for group, features in enumerate((16, 32, 64)):
        for block in range(blocks):
            strides = 2 if group > 0 and block == 0 else 1
            x = _block(x, features * width, strides, dropout)
    x = _normalised(x)
    x = layers.GlobalAveragePooling2D()(x)
    logits = layers.Dense(num_classes, dtype=LOGITS, name="logits")(x)
    return keras.Model(pixels, logits, name=f"wide_resnet_{depth}_{width}")


def _blocks_a_group(depth: int) -> int:
    blocks, rest = divmod(depth - 4, 6)
    if blocks < 1 or rest:
        raise ValueError(
            "depth must be 6n + 4, for n blocks in each of three groups; got "
            f"depth={depth}: choose 10, 16, 22, 28, 34 or 40"
        )
    return blocks


def _block(x: Tensor, features: int, strides: int, dropout: float) -> Tensor:
    y = _normalised(x)
    # Where the shape changes, the way around starts behind the normalisation.
    around = (
        x if x.shape[-1] == features and strides == 1 else _convolution(y, features, 1, strides)
    )
    y = _convolution(y, features, 3, strides)
    y = layers.Dropout(dropout)(_normalised(y))
    y = _convolution(y, features)
    return layers.Add()([around, y])


def _normalised(x: Tensor) -> Tensor:
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x))


def _convolution(x: Tensor, features: int, size: int = 3, strides: int = 1) -> Tensor:
    return layers.Conv2D(
        features,
        size,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
    )(x)
