"""From the bytes of a picture, as people have them, to RGB."""

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lightning_recipes.errors import UserError

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "decode_rgb", "open_image", "reason", "to_rgb"]

IMAGE_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "apng", "bmp", "dib", "gif", "webp", "tif", "tiff"),
        *("ppm", "pgm", "pbm", "pnm", "avif", "jp2", "tga", "psd"),
        # Pillow alone cannot read these: they are told as bad, where other files would be passed over in silence.
        *("heic", "heif", "jxl", "svg", "dng", "cr2", "nef", "arw"),
    )
)
MAX_PIXELS = 500_000_000
"""What a picture may have before it is taken for a decompression bomb; a whole-slide scan of 20,000 x 20,000 passes."""

DEEP_GREY = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
WHITE = (255, 255, 255, 255)


def decode_rgb(file: BinaryIO, name: str, min_size: int | None = None) -> NDArray[np.uint8]:
    """Return an RGB image of shape (height, width, 3).

    The camera's rotation (EXIF) is applied; transparency is laid on white; 16-bit and float pictures are scaled to
    0 to 255; of an animation the first frame is taken; CMYK, grey and palettes are converted.

    Args:
        file: The picture, from its start.
        name: What it is called, for the error.
        min_size: A JPEG may be decoded at 1/2, 1/4 or 1/8, as long as its shorter side, in pixels, stays at least this
            long (default: at its full size).

    Raises:
        UserError: It cannot be decoded, or has more than ``MAX_PIXELS``.
    """
    try:
        with open_image(file) as image:
            if min_size is not None:
                image.draft("RGB", (min_size, min_size))  # of JPEG alone, which decodes to a smaller picture for free
            return np.asarray(to_rgb(ImageOps.exif_transpose(image)))
    except MemoryError:
        raise
    except Exception as error:  # every format's library has errors of its own: AVIF's RuntimeError, struct.error ...
        raise UserError(f"{name}: cannot be decoded ({reason(error)}); replace or remove the file") from None


def open_image(file: BinaryIO) -> Image.Image:
    """Read the header of a picture; nothing is decoded.

    Raises:
        ValueError: It has more than ``MAX_PIXELS``.
        Exception: Whatever Pillow raises for what is no picture.
    """
    # Pillow's own limit is a warning at 90 and an error at 179 megapixels, which scans and panoramas have.
    if Image.MAX_IMAGE_PIXELS is not None and Image.MAX_IMAGE_PIXELS < MAX_PIXELS:
        Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    image = Image.open(file)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels, more than {MAX_PIXELS:,}")
    return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a picture of any mode as RGB, 8 bits a channel, with transparency laid on white."""
    if image.mode in DEEP_GREY:
        return _scale_to_8_bit(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image).convert("RGB")
    return image.convert("RGB")


def _scale_to_8_bit(image: Image.Image) -> Image.Image:
    """Scale deep grey: from 16 bits; float from the usual range that holds it; what fits none from its own range."""
    values = np.asarray(image).astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if low >= 0 and high <= 65535:
        usual = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0,)
        low, high = 0.0, next(top for top in usual if high <= top)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    scaled = (values - low) * (255.0 / max(high - low, 1e-12))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):  # one grey level of a 16-bit PNG
        scaled[values == transparent] = WHITE[0]
    return Image.fromarray(np.round(scaled).astype(np.uint8))


def reason(error: Exception) -> str:
    """Return in a few words why a picture cannot be read."""
    if isinstance(error, UnidentifiedImageError):
        return "not a picture"
    return " ".join(str(error).split())[:120] or type(error).__name__
