"""Images of other channels than red, green and blue: arrays of NumPy, TIFFs of several bands, grey, with alpha."""

import logging
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image

from lightning_recipes.data.images.depth import values_to_8_bit

__all__ = [
    "MAX_PIXELS",
    "decode_bands",
    "holds_bands",
    "refuse_other_bands",
    "refuse_too_large",
    "shape_of_bands",
]

MAX_PIXELS = 500_000_000
"""What a picture may have before it is taken for a decompression bomb; a whole-slide scan of 20,000 x 20,000 passes."""
MAX_RATIO = 5_000
"""Of a picture's sides: one of 2 x 1,000,000 pixels lies in a file of 10 kB, and takes five gigabytes when its shorter
side is resized to that of an input."""

ARRAY = b"\x93NUMPY"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
BY_PILLOW = (1, 3)
"""Channels of which Pillow reads most TIFFs, whatever their depth."""
ORIENTATION = 274  # a TIFF's tag


def holds_bands(file: BinaryIO, channels: int) -> bool:
    """Tell whether a file is read here, and not as a picture of Pillow's.

    Args:
        file: From its start, where it is again afterwards.
        channels: That are wanted.
    """
    head = file.read(len(ARRAY))
    file.seek(0)
    if head[:4] not in TIFF:
        return head == ARRAY
    return channels not in BY_PILLOW or not _pillow_reads(file)


def shape_of_bands(file: BinaryIO, channels: int) -> tuple[int, int]:
    """Return height and width, without reading a value.

    Args:
        file: Of which :func:`holds_bands` says so, from its start, where it is again afterwards.
        channels: That are wanted.

    Raises:
        ValueError: It is no image of so many channels, cut short, or nothing that NumPy or tifffile reads.
    """
    if _is_array(file):
        shape = _shape_of_array(file, channels)
    else:
        with _opened_tiff(file) as tiff:
            shape = _shape_of_tiff(tiff, file, channels)
    file.seek(0)
    return shape[:2]


def decode_bands(file: BinaryIO, channels: int) -> NDArray[np.uint8]:
    """Return an image of (height, width, channels), brought to 8 bits by the range of all of its values.

    Args:
        file: As of :func:`shape_of_bands`.
        channels: Likewise.

    Raises:
        ValueError: As of :func:`shape_of_bands`.
    """
    orientation = 1
    if _is_array(file):
        shape = _shape_of_array(file, channels)
        file.seek(0)
        values: NDArray[Any] = np.load(file, allow_pickle=False)
    else:
        with _opened_tiff(file) as tiff:
            shape = _shape_of_tiff(tiff, file, channels)
            values = tiff.series[0].asarray()
            tag = tiff.pages[0].tags.get(ORIENTATION)
            orientation = 1 if tag is None else int(tag.value)
    if values.ndim == 3 and values.shape != shape:
        values = np.moveaxis(values, 0, -1)
    return _upright(values_to_8_bit(values.reshape(shape)), orientation)


def refuse_too_large(width: int, height: int) -> None:
    """Raise a ``ValueError`` where a picture has more than :data:`MAX_PIXELS`, or is as good as a line."""
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels, more than {MAX_PIXELS:,}")
    if max(width, height) > MAX_RATIO * min(width, height):
        raise ValueError(f"{width} x {height} pixels, one side more than {MAX_RATIO:,} times the other")


def refuse_other_bands(image: Image.Image, channels: int) -> None:
    """Raise a ``ValueError`` where a picture of Pillow's has not the channels that are wanted, by its header."""
    if channels not in BY_PILLOW and len(image.getbands()) != channels:
        raise ValueError(_other(len(image.getbands()), channels))


def _is_array(file: BinaryIO) -> bool:
    found = file.read(len(ARRAY)) == ARRAY
    file.seek(0)
    return found


def _shape_of_array(file: BinaryIO, channels: int) -> tuple[int, int, int]:
    try:
        version = npy.read_magic(file)
        read_header: Any = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(file)
    except Exception:  # a header is Python, which can be wrong in any way
        raise ValueError("an array whose header NumPy does not read") from None
    _refuse_no_numbers(dtype)
    if min(shape, default=0) < 1:
        raise ValueError(f"an array of shape {_spelled(shape)}, which is empty")
    start = file.tell()
    if file.seek(0, os.SEEK_END) < start + math.prod(shape) * dtype.itemsize:
        raise ValueError("cut short")
    return _rows_first(shape, channels)


def _shape_of_tiff(tiff: Any, file: BinaryIO, channels: int) -> tuple[int, int, int]:
    series, end = tiff.series[0], file.seek(0, os.SEEK_END)
    _refuse_no_numbers(series.dtype)
    parts = (zip(page.dataoffsets, page.databytecounts) for page in series.pages if page is not None)
    if any(start + length > end for page in parts for start, length in page):
        raise ValueError("cut short")
    return _rows_first(series.shape, channels)


def _pillow_reads(file: BinaryIO) -> bool:
    try:
        Image.open(file)
    except Exception:  # as in decode_image
        return False
    finally:
        file.seek(0)
    return True


@contextmanager
def _opened_tiff(file: BinaryIO) -> Iterator[Any]:
    """Open a TIFF; what tifffile cannot read, and fails at in many ways, is a ``ValueError``."""
    try:
        import tifffile
    except ImportError:
        raise ValueError("a TIFF of several bands, which the package tifffile reads") from None
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it logs is in the error, too
    try:
        with tifffile.TiffFile(file) as opened:
            yield opened
    except (MemoryError, ValueError):  # among them, that a compression needs the package imagecodecs
        raise
    except Exception:
        raise ValueError("a TIFF that tifffile does not read") from None


def _refuse_no_numbers(dtype: np.dtype[Any] | None) -> None:
    if dtype is None or dtype.kind not in "biuf":
        raise ValueError(f"values of {dtype}, which are no brightness")


def _rows_first(shape: Sequence[int], channels: int) -> tuple[int, int, int]:
    """Return height, width and channels of an array that is stored so, or with the channels first."""
    if len(shape) not in (2, 3):
        raise ValueError(f"an array of shape {_spelled(shape)}, which is no image of {channels} channels")
    height, width, last = (*shape, 1)[:3]
    if last != channels:
        if len(shape) == 2 or shape[0] != channels:
            raise ValueError(_other(min(shape[0], last), channels))
        height, width = shape[1:]
    refuse_too_large(width, height)
    return height, width, channels


def _spelled(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "()"


def _other(found: int, channels: int) -> str:
    return f"{found} channel{'s' if found > 1 else ''}, where data.channels says {channels}"


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn an image as a TIFF's tag says (TIFF 6.0, section 8: which sides the first row and column are)."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
