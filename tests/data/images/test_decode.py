"""Pictures as people have them, against Pillow's own values for pictures made here."""

import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lightning_recipes.data.images.decode import decode_image
from lightning_recipes.errors import UserError

RED, BLUE = (255, 0, 0), (0, 0, 255)


def stored(image: Image.Image, kind: str, **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def two_colours(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA", "RGBA", "I;16"])
def test_every_mode_becomes_rgb_of_the_same_size(mode: str) -> None:
    source = two_colours()
    image = source.convert("L").convert("I") if mode == "I;16" else source.convert(mode)
    if mode == "I;16":
        image = Image.fromarray((np.asarray(source.convert("L"), dtype=np.uint16)) * 257)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    decoded = decode_image(stored(image, kind), "x")
    assert decoded.shape == (20, 40, 3)
    assert decoded.dtype == np.uint8
    expected = np.asarray(source if mode in ("P", "RGBA", "CMYK") else source.convert("L").convert("RGB"))
    if mode != "1":  # black and white is dithered
        assert np.abs(decoded.astype(int) - expected).max() <= 2


def test_the_cameras_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right to see it upright
    decoded = decode_image(stored(two_colours(), "PNG", exif=exif), "x")
    assert decoded.shape == (40, 20, 3)
    assert tuple(decoded[0, 0]) == RED  # what lay on the left is now on top
    assert tuple(decoded[-1, 0]) == BLUE


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert (decode_image(stored(image, "PNG"), "x") == 255).all()
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([9, 9, 9, 0, 0, 0])
    assert (decode_image(stored(palette, "PNG", transparency=1), "x") == 255).all()


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    values = np.array([[0, 257 * 10, 257 * 128, 65535]], dtype=np.uint16)
    decoded = decode_image(stored(Image.fromarray(values), "PNG"), "x")
    assert decoded[0, :, 0].tolist() == [0, 10, 128, 255]


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    decoded = decode_image(stored(frames[0], "GIF", save_all=True, append_images=frames[1:]), "x")
    assert tuple(decoded[0, 0]) == RED


def test_a_large_jpeg_is_decoded_small_but_not_below_what_is_needed() -> None:
    decoded = decode_image(stored(two_colours((1600, 1200)), "JPEG"), "x", min_size=128)
    assert decoded.shape == (150, 200, 3)  # an eighth; the next step would go below 128
    assert decode_image(stored(two_colours((250, 250)), "JPEG"), "x", min_size=128).shape == (250, 250, 3)


def test_a_picture_of_one_pixel_is_a_picture() -> None:
    assert decode_image(stored(Image.new("RGB", (1, 1), RED), "PNG"), "x").tolist() == [[list(RED)]]


def png(size: tuple[int, int], depth: int, kind: int, rows: bytes, *, transparent: bytes = b"") -> io.BytesIO:
    """A PNG written by hand from its specification, for what Pillow does not write itself."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, 0))
    middle = (chunk(b"tRNS", transparent) if transparent else b"") + chunk(b"IDAT", zlib.compress(rows))
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + head + middle + chunk(b"IEND", b""))


def test_sixteen_bit_colour_is_scaled_and_not_clipped() -> None:
    rows = b"\0" + struct.pack(">6H", 0, 257 * 128, 65535, 257 * 10, 257 * 200, 257)
    assert decode_image(png((2, 1), 16, 2, rows), "x").tolist() == [[[0, 128, 255], [10, 200, 1]]]


def test_the_transparent_level_of_sixteen_bit_grey_is_white() -> None:
    rows, level = b"\0" + struct.pack(">2H", 257 * 64, 257 * 80), struct.pack(">H", 257 * 64)
    assert decode_image(png((2, 1), 16, 0, rows, transparent=level), "x")[0, :, 0].tolist() == [255, 80]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.2, 0.6], [51, 153]),  # of the range 0 to 1
        ([0.0, 200.0], [0, 200]),  # 0 to 255
        ([-1.0, 3.0], [0, 255]),  # none of the usual: its own
        ([0.4, 0.4], [102, 102]),
        ([float("nan"), 1.0], [0, 255]),
    ],
)
def test_float_grey_keeps_its_brightness_from_picture_to_picture(values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert decode_image(stored(image, "TIFF"), "x")[0, :, 0].tolist() == expected


def test_a_picture_may_be_as_large_as_a_panorama_but_not_a_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # as it was, for other tests
    panorama = stored(Image.new("L", (20_000, 10_000)), "JPEG", quality=5)  # an error by Pillow's own limit
    assert decode_image(panorama, "x", min_size=200).shape == (1250, 2500, 3)
    with pytest.raises(UserError, match=r"^bomb\.png: cannot be decoded .* pixels.*; replace or remove the file$"):
        decode_image(png((60_000, 60_000), 8, 0, b"\0"), "bomb.png")


def test_a_limit_on_pixels_that_a_user_lifted_stays_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    decode_image(stored(two_colours(), "PNG"), "x")
    assert Image.MAX_IMAGE_PIXELS is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_whatever_bytes_are_wrong_the_error_names_the_file(kind: str) -> None:
    draw = np.random.default_rng(0)
    whole = stored(Image.fromarray(draw.integers(0, 255, (64, 64, 3), dtype=np.uint8)), kind).getvalue()
    failed = 0
    for _ in range(60):
        data = bytearray(whole)
        for position in draw.integers(0, min(len(data), 600), 8):
            data[position] = draw.integers(256)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                decode_image(io.BytesIO(bytes(data)), "name")
        except UserError as error:
            failed += 1
            assert str(error).startswith("name: cannot be decoded (")  # noqa: PT017 - some of them can be decoded
    assert failed
