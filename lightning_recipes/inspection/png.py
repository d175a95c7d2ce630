"""What is wrong inside of a PNG that Pillow reads without a word: a wrong checksum, rows that are not there."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["png_fault"]

SIGNATURE = 8
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of each colour type."""
PIXELS = (b"IHDR", b"PLTE", b"IDAT")


def png_fault(data: bytes, rgb: NDArray[np.uint8]) -> tuple[str, str] | None:
    """Return the kind of what is wrong and what it is of this file, or None.

    Args:
        data: The whole file.
        rgb: What is read of it, (H, W, 3).
    """
    parts = []
    for kind, body, crc in _chunks(data):
        if kind in PIXELS and zlib.crc32(kind + body) != crc:
            return "damaged", f"the checksum of its {kind.decode()} is wrong: pixels may be so too"
        parts += [body] if kind == b"IDAT" else []
    if np.ptp(rgb[-1], axis=0).max() > 0:  # what is missing is of one colour, and to look takes long
        return None
    wanted, rows = _row_bytes(data)
    there = _inflated(parts, wanted * rows) // wanted if wanted else rows
    if there >= rows:
        return None
    return "unfinished", f"{rows - there} of its {rows} rows are missing, and read as black or clear"


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield kind, content and checksum of each whole part."""
    position = SIGNATURE
    while position + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        end = position + 8 + length
        if end + 4 > len(data):
            return
        yield kind, data[position + 8 : end], struct.unpack(">I", data[end : end + 4])[0]
        position = end + 4


def _row_bytes(data: bytes) -> tuple[int, int]:
    """Bytes of a row with its filter, and rows; 0 bytes where the picture comes in passes."""
    width, height, bits, colour, _, _, passes = struct.unpack(">IIBBBBB", data[16:29])
    return (0 if passes else 1 + (width * bits * CHANNELS[colour] + 7) // 8), height


def _inflated(parts: list[bytes], most: int) -> int:
    """How many bytes the parts unpack to, counted as far as ``most``."""
    unpack, count = zlib.decompressobj(), 0
    try:
        for part in parts:
            count += len(unpack.decompress(part, most - count + 1))
            if count > most:
                break
    except zlib.error:
        pass
    return count
