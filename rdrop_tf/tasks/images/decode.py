"""One image file into an array of one size, with Pillow."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rdrop_tf._optional import require

Result = TypeVar("Result")


def decode(path: str | Path, image_size: int) -> NDArray[np.uint8] | None:
    """Decodes an image file and resizes it.

    It is turned the way its camera says, becomes RGB, and is stretched to a square with
    bilinear interpolation over all pixels that a new one covers.

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
            image = ImageOps.exif_transpose(file).convert("RGB")
            return np.asarray(image.resize((image_size, image_size), Image.Resampling.BILINEAR))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


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


def in_parallel(function: Callable[[Path], Result], paths: Iterable[Path]) -> Iterator[Result]:
    """Calls a function on every path, in threads: Pillow decodes outside of Python's lock.

    Args:
        function: What to call.
        paths: The paths.

    Returns:
        The results, in the order of the paths.
    """
    with ThreadPoolExecutor(max(2, cpu_count() or 2)) as pool:
        yield from pool.map(function, paths)
