"""What is wrong with the file of a picture, told from its head and its end, or by decoding it."""

import os
from typing import BinaryIO, NamedTuple

from lightning_recipes.data.images.bands import holds_bands, refuse_other_bands, shape_of_bands
from lightning_recipes.data.images.decode import open_image, reason, try_to_decode
from lightning_recipes.data.images.depth import is_deep

__all__ = ["CUT_SHORT", "Head", "fault_of", "look_at"]

CUT_SHORT = "cut short"

TAIL = 4096
"""Bytes at the end of a file among which its kind's end marker is looked for."""


class Head(NamedTuple):
    """What the header of a picture says.

    Attributes:
        fault: What is wrong with the file, or None.
        size: Width and height in pixels.
        deep: More than 8 bits a channel.
    """

    fault: str | None
    size: tuple[int, int] = (0, 0)
    deep: bool = False


def fault_of(file: BinaryIO) -> str | None:
    """Return what is wrong with a picture, or None: empty, not a picture, cut short, or what Pillow says of its head.

    Args:
        file: The whole file.
    """
    return look_at(file).fault


def look_at(file: BinaryIO, *, whole: bool = False, channels: int = 3) -> Head:
    """Return what a picture's header says, and what is wrong with the file.

    A file whose end is not where its kind has it, as in a phone's photo with a film behind it, is decoded; so only what
    cannot be read counts as cut short.

    Args:
        file: The whole file; only its head and its last bytes are read as a rule.
        whole: Decode every file: damage between a head and an end that are as they should be shows in no other way.
        channels: That an image is to have.
    """
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return Head("empty")
    file.seek(0)
    try:
        if holds_bands(file, channels):
            height, width = shape_of_bands(file, channels)
            fault, _ = try_to_decode(file, channels=channels) if whole else ("", None)
            return Head(fault or None, (width, height))
        with open_image(file) as image:
            refuse_other_bands(image, channels)
            kind, head = image.format or "", Head(None, image.size, is_deep(image))
            ended = _has_end(file, size, kind)
            if ended and not whole:
                return head
    except MemoryError:
        raise
    except Exception as error:  # as in decode_image
        file.seek(0)
        first = file.read(12)
        return Head(CUT_SHORT if _is_short_riff(first, size) else reason(error))
    file.seek(0)
    fault, _ = try_to_decode(file, min_size=1, channels=channels)
    return Head(fault if ended else CUT_SHORT) if fault else head


def _has_end(file: BinaryIO, size: int, kind: str) -> bool:
    """Look for the end that a kind of picture has; bytes after it are common and harmless."""
    file.seek(max(0, size - TAIL))
    tail = file.read(TAIL)
    if kind in ("JPEG", "MPO"):
        found = tail.rfind(b"\xff\xd9")
        return found >= 0 and size - len(tail) + found > _start_of_scan(file)
    if kind == "PNG":
        return b"IEND" in tail
    if kind == "GIF":
        return tail.rstrip(b"\0\r\n").endswith(b"\x3b")
    if kind in ("BMP", "DIB"):
        file.seek(0)
        head = file.read(6)
        return head[:2] != b"BM" or size >= int.from_bytes(head[2:6], "little")
    if kind == "WEBP":
        file.seek(0)
        return not _is_short_riff(file.read(12), size)
    if kind in ("HEIF", "AVIF"):
        return _boxes_end(file, size) <= size
    return True  # such as TIFF, which has its parts in any order


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Return where the last of a file's boxes ends (ISO/IEC 14496-12, section 4.2), by what the boxes say."""
    position = 0
    while position < size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length == 0:  # up to the end of the file, wherever that is
            return size
        position += max(length, 8)
    return position


def _is_short_riff(head: bytes, size: int) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP" and size < 8 + int.from_bytes(head[4:8], "little")


def _start_of_scan(file: BinaryIO) -> int:
    """Return where a JPEG's own data begin: its headers may hold another JPEG with an end, the camera's thumbnail."""
    position = 2
    while True:
        file.seek(position)
        marker = file.read(4)
        if len(marker) < 4 or marker[0] != 0xFF or marker[1] == 0xDA:
            return position
        # Any number of 0xFF may stand before a marker.
        position += 1 if marker[1] == 0xFF else 2 + int.from_bytes(marker[2:4], "big")
