"""Images of other channels than red, green and blue: arrays of NumPy, TIFFs of several bands, grey, with alpha."""

import math
import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image

from lightning_recipes.data.images.depth import is_deep_grey, scale_to_8_bit, values_to_8_bit

__all__ = ["TIFF", "bands_of", "decode_bands", "holds_bands", "refuse_other_bands", "shape_of_bands"]

ARRAY = b"\x93NUMPY"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
BY_PILLOW = (1, 3)
"""Channels of the TIFFs that Pillow reads, whatever their depth."""


def holds_bands(file: BinaryIO, channels: int) -> bool:
    """Tell whether a file is read here, and not as a picture of Pillow's.

    Args:
        file: From its start, where it is again afterwards.
        channels: That are wanted.
    """
    head = file.read(len(ARRAY))
    file.seek(0)
    return head == ARRAY or (channels not in BY_PILLOW and head[:4] in TIFF)


def shape_of_bands(file: BinaryIO, channels: int) -> tuple[int, int]:
    """Return height and width, without reading a value.

    Args:
        file: Of which :func:`holds_bands` says so, from its start.
        channels: That are wanted.

    Raises:
        ValueError: It is no image of so many channels, or cut short.
        Exception: Whatever NumPy and tifffile raise for what they cannot read.
    """
    if not _is_array(file):
        with _open_tiff(file) as tiff:
            height, width, _ = _rows_first(tiff.series[0].shape, channels)
        return height, width
    version = npy.read_magic(file)
    read_header: Any = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(file)
    _refuse_no_numbers(dtype)
    start = file.tell()
    if file.seek(0, os.SEEK_END) < start + math.prod(shape) * dtype.itemsize:
        raise ValueError("cut short")
    height, width, _ = _rows_first(shape, channels)
    return height, width


def decode_bands(file: BinaryIO, channels: int) -> NDArray[np.uint8]:
    """Return an image of (height, width, channels), brought to 8 bits by the range of all of its values.

    Args, Raises: As :func:`shape_of_bands`.
    """
    if _is_array(file):
        values: NDArray[Any] = np.load(file, allow_pickle=False)
        _refuse_no_numbers(values.dtype)
    else:
        with _open_tiff(file) as tiff:
            values = tiff.series[0].asarray()
    shape = _rows_first(values.shape, channels)
    if values.ndim == 3 and values.shape != shape:
        values = np.moveaxis(values, 0, -1)
    return values_to_8_bit(values.reshape(shape))


def bands_of(image: Image.Image, channels: int) -> NDArray[np.uint8]:
    """Return the channels of a picture that are no red, green and blue, (H, W, channels).

    Args:
        image: Of Pillow's, upright; what is transparent lies on white already where one channel is wanted.
        channels: 1 makes it grey by its luminance; of others it has to have as many.

    Raises:
        ValueError: It has other channels.
    """
    if channels == 1:
        return np.asarray(scale_to_8_bit(image) if is_deep_grey(image) else image.convert("L"))[..., None]
    refuse_other_bands(image, channels)
    return np.asarray(image)


def refuse_other_bands(image: Image.Image, channels: int) -> None:
    """Raise a ``ValueError`` where a picture of Pillow's has not the channels that are wanted, by its header."""
    if channels not in BY_PILLOW and len(image.getbands()) != channels:
        raise ValueError(_other(len(image.getbands()), channels))


def _refuse_no_numbers(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biuf":
        raise ValueError(f"values of {dtype}, which are no brightness")


def _is_array(file: BinaryIO) -> bool:
    found = file.read(len(ARRAY)) == ARRAY
    file.seek(0)
    return found


def _open_tiff(file: BinaryIO) -> Any:
    try:
        import tifffile
    except ImportError:
        raise ValueError("a TIFF of several bands, which the package tifffile reads") from None
    return tifffile.TiffFile(file)


def _rows_first(shape: Sequence[int], channels: int) -> tuple[int, int, int]:
    """Return height, width and channels of an array that is stored so, or with the channels first."""
    if len(shape) == 2 and channels == 1:
        return shape[0], shape[1], 1
    if len(shape) == 3 and shape[2] == channels:
        return shape[0], shape[1], channels
    if len(shape) == 3 and shape[0] == channels:
        return shape[1], shape[2], channels
    if len(shape) != 3:
        raise ValueError(f"an array of shape {'x'.join(map(str, shape))}, which is no image of {channels} channels")
    raise ValueError(_other(min(shape[0], shape[2]), channels))


def _other(found: int, channels: int) -> str:
    return f"{found} channel{'s' if found > 1 else ''}, where data.channels says {channels}"
