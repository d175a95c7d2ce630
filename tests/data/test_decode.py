"""Pictures as people have them, against Pillow's own values for pictures made here."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lightning_recipes.data.decode import decode_rgb, fault_of
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
    decoded = decode_rgb(stored(image, kind), "x")
    assert decoded.shape == (20, 40, 3)
    assert decoded.dtype == np.uint8
    expected = np.asarray(source if mode in ("P", "RGBA", "CMYK") else source.convert("L").convert("RGB"))
    if mode != "1":  # black and white is dithered
        assert np.abs(decoded.astype(int) - expected).max() <= 2


def test_the_cameras_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right to see it upright
    decoded = decode_rgb(stored(two_colours(), "PNG", exif=exif), "x")
    assert decoded.shape == (40, 20, 3)
    assert tuple(decoded[0, 0]) == RED  # what lay on the left is now on top
    assert tuple(decoded[-1, 0]) == BLUE


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert (decode_rgb(stored(image, "PNG"), "x") == 255).all()
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([9, 9, 9, 0, 0, 0])
    assert (decode_rgb(stored(palette, "PNG", transparency=1), "x") == 255).all()


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    values = np.array([[0, 257 * 10, 257 * 128, 65535]], dtype=np.uint16)
    decoded = decode_rgb(stored(Image.fromarray(values), "PNG"), "x")
    assert decoded[0, :, 0].tolist() == [0, 10, 128, 255]


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    decoded = decode_rgb(stored(frames[0], "GIF", save_all=True, append_images=frames[1:]), "x")
    assert tuple(decoded[0, 0]) == RED


def test_a_large_jpeg_is_decoded_small_but_not_below_what_is_needed() -> None:
    decoded = decode_rgb(stored(two_colours((1600, 1200)), "JPEG"), "x", min_size=128)
    assert decoded.shape == (150, 200, 3)  # an eighth; the next step would go below 128
    assert decode_rgb(stored(two_colours((250, 250)), "JPEG"), "x", min_size=128).shape == (250, 250, 3)


def test_a_picture_of_one_pixel_is_a_picture() -> None:
    assert decode_rgb(stored(Image.new("RGB", (1, 1), RED), "PNG"), "x").tolist() == [[list(RED)]]


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda data: b"", "empty"),
        (lambda data: b"hello" * 50, "not a picture"),
        (lambda data: data[: len(data) // 2], "cut short"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_what_is_no_whole_picture_is_told_without_decoding(kind: str, damage: Any, fault: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    whole = stored(noise, kind).getvalue()
    assert fault_of(whole) is None
    assert fault_of(damage(whole)) == fault


def test_a_broken_picture_that_is_decoded_all_the_same_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(stored(noise, "PNG").getvalue()[:3000])
    with pytest.raises(UserError, match=r"cut\.png: cannot be decoded .*; replace or remove the file"):
        decode_rgb(path, str(path))
