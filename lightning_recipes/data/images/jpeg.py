"""Plain JPEGs, decoded faster than by Pillow, to the same pixels."""

from typing import BinaryIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image

__all__ = ["decode_plain_jpeg"]

UPRIGHT = (0, 1)  # what cameras write that were not turned


def decode_plain_jpeg(image: Image.Image, file: BinaryIO) -> NDArray[np.uint8] | None:
    """Return the pixels of an RGB JPEG that is whole and upright, (H, W, 3); None of any other, which is Pillow's.

    Both decode by libjpeg-turbo, but Pillow by way of rows of four bytes a pixel and a copy. Strict: what libjpeg only
    warns of, such as bytes between the segments, is left to Pillow as well, which says what becomes of it.

    Args:
        image: As Pillow opened it; nothing of it is decoded.
        file: The same picture.
    """
    if image.format != "JPEG" or image.mode != "RGB":
        return None
    if image.getexif().get(ExifTags.Base.Orientation, 1) not in UPRIGHT:
        return None
    file.seek(0)
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            file.read(), "RGB", fastdct=False, fastupsample=False, strict=True
        )
    except ValueError:
        return None
    return pixels
