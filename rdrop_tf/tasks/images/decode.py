"""Image files, and arrays of another size, into arrays of one size, with Pillow."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rdrop_tf._optional import require

Item = TypeVar("Item")
Result = TypeVar("Result")

# Modes and formats whose grey values of 16 bits Pillow holds in 32.
_IN_32_BITS = (("I", "PNG"), ("I", "PPM"))


def decode(path: str | Path, image_size: int) -> NDArray[np.uint8] | None:
    """Decodes an image file and resizes it.

    It is turned the way its camera says, becomes RGB of 8 bits a value, and is stretched to a
    square with bilinear interpolation over all pixels that a new one covers.

    Args:
        path: A file of any format Pillow knows.
        image_size: Rows and columns of the result.

    Returns:
        Shape (image_size, image_size, 3); None where the file is no image or is damaged.

    Raises:
        ImportError: If Pillow is missing.
    """
    require("PIL", extra="data")
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            image = _of_8_bit(ImageOps.exif_transpose(file), file.format).convert("RGB")
            return np.asarray(_square(image, image_size))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _of_8_bit(image: Any, form: str | None) -> Any:
    """Scales grey values of 16 bits to 8, where Pillow would cut off all above 255."""
    from PIL import Image

    if not image.mode.startswith("I;16") and (image.mode, form) not in _IN_32_BITS:
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def stretch(image: NDArray[np.uint8], image_size: int) -> NDArray[np.uint8]:
    """Resizes an array as `decode` does a file.

    Args:
        image: Shape (height, width, channels), with 1 or 3 channels.
        image_size: Rows and columns of the result.

    Returns:
        Shape (image_size, image_size, channels).

    Example:
    >>> stretch(np.full((3, 5, 1), 7, "uint8"), 2).squeeze().tolist()
    [[7, 7], [7, 7]]
    """
    from PIL import Image

    grey = image.shape[-1] == 1
    pixels = np.asarray(_square(Image.fromarray(image[..., 0] if grey else image), image_size))
    return pixels[..., np.newaxis] if grey else pixels


def _square(image: Any, image_size: int) -> Any:
    from PIL import Image

    return image.resize((image_size, image_size), Image.Resampling.BILINEAR)


def decodes(path: str | Path) -> bool:
    """Whether a file is an image that can be decoded, looking at all of it.

    A JPEG is decoded at an eighth of its size, which finds the same damage many times faster.

    Args:
        path: A file.

    Returns:
        Whether `decode` gives an image.

    Raises:
        ImportError: If Pillow is missing.
    """
    require("PIL", extra="data")
    from PIL import Image

    try:
        with Image.open(path) as file:
            file.draft("RGB", (1, 1))
            file.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Calls a function on every item, in threads: Pillow works outside of Python's lock.

    Args:
        function: What to call.
        items: Paths, or images.

    Returns:
        The results, in the order of the items.
    """
    with ThreadPoolExecutor(max(2, cpu_count() or 2)) as pool:
        yield from pool.map(function, items)
