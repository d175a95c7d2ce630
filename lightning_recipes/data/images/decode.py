"""From the bytes of a picture, as people have them, to RGB, or to as many channels as are wanted."""

from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lightning_recipes.data.images.bands import (
    MAX_PIXELS,
    decode_bands,
    holds_bands,
    refuse_other_bands,
    refuse_too_large,
    shape_of_bands,
)
from lightning_recipes.data.images.depth import deep_colour, is_deep, is_deep_grey, scale_to_8_bit
from lightning_recipes.data.images.heif import register_heif
from lightning_recipes.data.images.jpeg import decode_plain_jpeg
from lightning_recipes.errors import UserError

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "checked_image",
    "decode_image",
    "open_image",
    "picture_size",
    "reason",
    "to_channels",
    "to_rgb",
    "try_to_decode",
]

IMAGE_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "apng", "bmp", "dib", "gif", "webp", "tif", "tiff"),
        *("ppm", "pgm", "pbm", "pnm", "avif", "jp2", "tga", "psd"),
        # Pillow cannot read these (HEIC by a plugin): told as bad, where other files would be passed over in silence.
        *("heic", "heif", "jxl", "svg", "dng", "cr2", "nef", "arw"),
        "npy",
    )
)
WHITE = (255, 255, 255, 255)


def decode_image(file: BinaryIO, name: str, min_size: int | None = None, *, channels: int = 3) -> NDArray[np.uint8]:
    """Return an image of shape (height, width, channels), RGB by default.

    The camera's rotation (EXIF) is applied; transparency is laid on white; of an animation the first frame is taken;
    CMYK, grey and palettes are converted.

    Pictures of 16 bits a channel are scaled by the range that their values are of: 8, 10, 12, 14 or 16 bits, the first
    that holds the picture's largest value. Files do not say which it is, and Pillow (and so timm) and OpenCV take 16
    for granted: a 12-bit X-ray would have 17 levels, all of them nearly black; scikit-image has the user name the range
    (``rescale_intensity(in_range="uint12")``). It is told from the picture alone, so that no neighbour changes it and
    training, validation and prediction see it alike; the price is that a picture without a value in the upper three
    quarters of its camera's range is made brighter than its neighbours. ``data.root`` says once what it was taken for;
    where brightness itself has a meaning, store 8 bits. Float pictures are of 0 to 1 or likewise; negative values and
    those of more than 16 bits are stretched from the darkest to the brightest.

    Other channels are those that are stored, of arrays (``.npy``) and TIFFs scaled likewise, all by one range.

    Args:
        file: The picture, from its start.
        name: What it is called, for the error.
        min_size: A JPEG may be decoded at 1/2, 1/4 or 1/8, as long as its shorter side, in pixels, stays at least this
            long (default: at its full size).
        channels: 3 is RGB, 1 its luminance; others have to be as many as are stored.

    Raises:
        UserError: It cannot be decoded, has other channels, or more than ``MAX_PIXELS``.
    """
    fault, image = try_to_decode(file, min_size, channels=channels)
    if image is None:
        raise UserError(f"{name}: cannot be decoded ({fault}); replace or remove the file")
    return image


def try_to_decode(
    file: BinaryIO, min_size: int | None = None, *, channels: int = 3
) -> tuple[str, NDArray[np.uint8] | None]:
    """Return an empty text and the image, as :func:`decode_image`, or why it cannot be decoded and None.

    Args:
        file: The picture, from its start.
        min_size: As for :func:`decode_image`.
        channels: Likewise.
    """
    try:
        if holds_bands(file, channels):
            return "", decode_bands(file, channels)
        with open_image(file) as image:
            size = image.size
            if min_size is not None:
                image.draft("RGB", (min_size, min_size))  # of JPEG alone, which decodes to a smaller picture for free
            if image.size == size and channels == 3 and (plain := decode_plain_jpeg(image, file)) is not None:
                return "", plain
            if is_deep(image) and not is_deep_grey(image):
                scaled = deep_colour(image, file, as_bands=channels == 4)
                return "", to_channels(ImageOps.exif_transpose(scaled), channels)
            return "", to_channels(ImageOps.exif_transpose(image), channels)
    except MemoryError:
        raise
    except Exception as error:  # every format's library has errors of its own: AVIF's RuntimeError, struct.error ...
        return reason(error), None


def open_image(file: BinaryIO) -> Image.Image:
    """Read the header of a picture; nothing is decoded.

    Raises:
        ValueError: It has more than ``MAX_PIXELS``, or is HEIC and no plugin of Pillow's reads that.
        Exception: Whatever Pillow raises for what is no picture.
    """
    # Pillow's own limit is a warning at 90 and an error at 179 megapixels, which scans and panoramas have.
    if Image.MAX_IMAGE_PIXELS is not None and Image.MAX_IMAGE_PIXELS < MAX_PIXELS:
        Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    register_heif(file)
    image = Image.open(file)
    refuse_too_large(*image.size)
    return image


def picture_size(file: BinaryIO, channels: int) -> tuple[int, int]:
    """Return width and height as the header says; nothing is decoded.

    Args:
        file: The picture, from its start.
        channels: That are wanted.

    Raises:
        Exception: As of :func:`open_image`.
    """
    if holds_bands(file, channels):
        height, width = shape_of_bands(file, channels)
        return width, height
    with open_image(file) as image:
        return image.size


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a picture of any mode as RGB, 8 bits a channel, with transparency laid on white."""
    if is_deep_grey(image):
        return scale_to_8_bit(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image).convert("RGB")
    return image.convert("RGB")


def to_channels(image: Image.Image, channels: int) -> NDArray[np.uint8]:
    """Return a picture of any mode, upright, as (H, W, channels); 3 is RGB, 1 its luminance.

    Raises:
        ValueError: Others are wanted than it has.
    """
    if channels == 3:
        return np.asarray(to_rgb(image))
    if channels == 1:
        grey = scale_to_8_bit(image) if is_deep_grey(image) else to_rgb(image).convert("L")
        return np.asarray(grey)[..., None]
    refuse_other_bands(image, channels)
    return np.asarray(image)


def checked_image(image: NDArray[Any], channels: int, name: Callable[[], str]) -> NDArray[np.uint8]:
    """Return an image as it is wanted, of whatever a source gives: RGB becomes its luminance where one is.

    Args:
        image: (H, W, C), or (H, W) of one channel; uint8.
        channels: That are wanted.
        name: Gives what it is called, for the error.

    Raises:
        UserError: It is of other numbers, of another shape, empty, or of other channels.
    """
    shaped = image[..., None] if image.ndim == 2 else image
    if image.dtype != np.uint8 or shaped.ndim != 3 or not shaped.size:
        found = f"{image.dtype} of shape {image.shape}"
        raise UserError(f"data.root: '{name()}' is read as {found}; give uint8, (height, width, channels)")
    if shaped.shape[2] == channels:
        return shaped
    if (shaped.shape[2], channels) == (3, 1):
        return to_channels(Image.fromarray(shaped), 1)
    raise UserError(
        f"data.channels: {channels}, but '{name()}' has {shaped.shape[2]}; give the number that images have"
    )


def reason(error: Exception) -> str:
    """Return in a few words why a picture cannot be read."""
    if isinstance(error, UnidentifiedImageError):
        return "not a picture"
    return " ".join(str(error).split())[:120] or type(error).__name__
