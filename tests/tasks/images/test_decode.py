import threading
from pathlib import Path

import numpy as np
import pytest

from rdrop_tf.tasks.images.decode import decode, decodes, in_parallel

Image = pytest.importorskip("PIL.Image", reason="needs Pillow")


def test_a_jpeg_decodes_to_about_its_pixels(tmp_path: Path) -> None:
    picture = np.full((40, 60, 3), (200, 30, 90), np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.jpg", quality=95)
    image = decode(tmp_path / "a.jpg", 16)
    assert image is not None
    np.testing.assert_allclose(image, picture[:16, :16], atol=4)
    assert decodes(tmp_path / "a.jpg")


@pytest.mark.parametrize("form", ["jpeg", "png", "gif", "bmp", "webp"])
def test_both_looks_agree_on_every_form(form: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / "image"
    Image.fromarray(noise).save(path, form)
    assert decodes(path)
    assert decode(path, 8) is not None
    path.write_bytes(path.read_bytes()[:-2000])
    assert not decodes(path)
    assert decode(path, 8) is None


@pytest.mark.parametrize("name", ["image.png", "image.tif", "image.pgm"])
def test_grey_of_16_bits_is_scaled_to_8(name: str, tmp_path: Path) -> None:
    """Pillow alone cuts all values above 255 off, which makes most images white."""
    values = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    if name.endswith("pgm"):
        head = b"P5 8 8 65535\n"
        (tmp_path / name).write_bytes(head + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(tmp_path / name)
    image = decode(tmp_path / name, 8)
    assert image is not None
    np.testing.assert_array_equal(image, np.dstack([values >> 8] * 3))


def test_a_missing_file_does_not_decode(tmp_path: Path) -> None:
    assert decode(tmp_path / "none.jpg", 8) is None
    assert not decodes(tmp_path / "none.jpg")


def test_results_are_in_order_and_made_at_once() -> None:
    # Passed only when two are inside at the same time.
    barrier = threading.Barrier(2, timeout=10)

    def meet(path: Path) -> str:
        barrier.wait()
        return path.name

    assert list(in_parallel(meet, [Path(name) for name in "abcd"])) == ["a", "b", "c", "d"]
