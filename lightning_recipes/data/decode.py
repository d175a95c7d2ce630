"""From the bytes of a picture, as people have them, to RGB."""

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lightning_recipes.errors import UserError

__all__ = ["IMAGE_SUFFIXES", "decode_rgb", "fault_of"]

IMAGE_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "bmp", "dib", "gif", "webp", "tif", "tiff"),
        *("ppm", "pgm", "pbm", "pnm", "avif", "jp2", "tga"),
    )
)
MAX_PIXELS = 500_000_000
"""What a picture may have before it is taken for a decompression bomb; a whole-slide scan of 20,000 x 20,000 passes."""

WHITE = (255, 255, 255)


def decode_rgb(file: BinaryIO | Path, name: str, min_size: int | None = None) -> NDArray[np.uint8]:
    """Return an RGB image of shape (height, width, 3).

    The camera's rotation (EXIF) is applied; transparency is laid on white; 16-bit and float pictures are scaled to
    0 to 255; of an animation the first frame is taken; CMYK, grey and palettes are converted.

    Args:
        file: The picture.
        name: What it is called, for the error.
        min_size: A JPEG may be decoded at 1/2, 1/4 or 1/8, as long as its shorter side stays at least this long.

    Raises:
        UserError: It cannot be decoded.
    """
    try:
        with _open(file) as image:
            if min_size is not None and min(image.size) >= 2 * min_size:
                image.draft("RGB", (min_size, min_size))  # of JPEG alone, which decodes to a smaller picture for free
            upright = ImageOps.exif_transpose(image)
            return np.asarray(_to_rgb(upright))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UserError(f"{name}: cannot be decoded ({_reason(error)}); replace or remove the file") from None


def _open(file: BinaryIO | Path) -> Image.Image:
    # Pillow's own limit is a warning at 90 and an error at 179 megapixels, which scans and panoramas have.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    return Image.open(file)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I", "F"):
        return _scale_to_8_bit(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (*WHITE, 255))
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")


def _scale_to_8_bit(image: Image.Image) -> Image.Image:
    """Scale deep grey: 16 bits from their full range, others from the range that the picture has."""
    values = np.asarray(image).astype(np.float64)
    low, high = 0.0, 65535.0
    if image.mode == "F" or values.min() < 0 or values.max() > high:
        low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255.0 / max(high - low, 1e-12))
    return Image.fromarray(np.round(scaled).astype(np.uint8))


def fault_of(data: bytes) -> str | None:
    """Tell what is wrong with a picture without decoding it, or None: empty, no picture, or cut short.

    Args:
        data: The whole file.
    """
    if not data:
        return "empty"
    if _is_cut_short(data):
        return "cut short"
    try:
        with _open(io.BytesIO(data)):
            return None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        return _reason(error)


def _is_cut_short(data: bytes) -> bool:
    """Look for the end that the kind of picture has; bytes after it are common and harmless."""
    if data.startswith(b"\xff\xd8\xff"):
        return b"\xff\xd9" not in data[-65536:]
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data[-4096:]
    if data.startswith(b"GIF8"):
        return not data.rstrip(b"\0\r\n").endswith(b"\x3b")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return data.startswith(b"BM") and len(data) < int.from_bytes(data[2:6], "little")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a picture"
    return " ".join(str(error).split())[:120] or type(error).__name__
