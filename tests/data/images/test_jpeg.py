"""JPEGs decoded the quick way, against Pillow's own pixels."""

import io
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from lightning_recipes.data.images.decode import try_to_decode
from lightning_recipes.data.images.jpeg import decode_plain_jpeg


def noise(mode: str = "RGB", size: tuple[int, int] = (83, 61)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).convert(mode)


def jpeg(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def by_pillow(data: bytes) -> np.ndarray[Any, Any] | None:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError):
        return None


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 100}, {"restart_marker_rows": 1}], ids=str)
def test_the_pixels_are_pillows_to_the_bit(options: dict[str, Any], subsampling: int) -> None:
    data = jpeg(noise(), subsampling=subsampling, **options)
    with Image.open(io.BytesIO(data)) as image:
        quick = decode_plain_jpeg(image, io.BytesIO(data))
    assert quick is not None
    np.testing.assert_array_equal(quick, by_pillow(data))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours_are_left_to_pillow(mode: str) -> None:
    data = jpeg(noise(mode))
    with Image.open(io.BytesIO(data)) as image:
        assert decode_plain_jpeg(image, io.BytesIO(data)) is None


def test_a_turned_picture_is_left_to_pillow_and_an_upright_one_is_not() -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = jpeg(noise(), exif=exif)
        with Image.open(io.BytesIO(data)) as image:
            assert (decode_plain_jpeg(image, io.BytesIO(data)) is not None) == (orientation == 1)
        np.testing.assert_array_equal(try_to_decode(io.BytesIO(data))[1], by_pillow(data))


def test_damaged_files_are_what_pillow_makes_of_them() -> None:
    draw, whole = random.Random(0), jpeg(noise())
    outcomes = set()
    for attempt in range(300):
        data = bytearray(whole)
        if attempt % 3 == 0:
            data = data[: draw.randrange(20, len(data))]
        else:
            for _ in range(draw.choice([1, 3, 20])):
                data[draw.randrange(len(data))] = draw.randrange(256)
        expected, (fault, found) = by_pillow(bytes(data)), try_to_decode(io.BytesIO(bytes(data)))
        assert (found is None) == (expected is None) == bool(fault)
        if expected is not None and found is not None:
            np.testing.assert_array_equal(found, expected)
        outcomes.add(expected is None)
    assert outcomes == {True, False}
