"""What is measured of one image file: its header, what is wrong with it, and small pictures of it to compare."""

import hashlib
import io
import warnings
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightning_recipes.data.images.decode import decode_image, open_image
from lightning_recipes.data.images.depth import bits_in, is_deep
from lightning_recipes.data.sources.checks import LARGE
from lightning_recipes.data.sources.faults import look_at
from lightning_recipes.data.sources.files import FileTree
from lightning_recipes.errors import UserError
from lightning_recipes.inspection.png import png_fault
from lightning_recipes.inspection.remarks import Remark, of_header, of_pixels

__all__ = ["COLOUR", "RECORD", "SIDE", "Note", "measure", "measure_files"]

SIDE = 32
"""Pixels of a side of the grey picture by which near duplicates are found."""
COLOUR = 8
"""Pixels of a side of the picture in colour."""
MOST_BYTES = 2**31
DIGEST = 16

RECORD = np.dtype(
    [
        ("bytes", "i8"), ("width", "i4"), ("height", "i4"), ("bits", "i2"), ("seen", "?"), ("file", "u1", DIGEST),
        ("pixels", "u1", DIGEST), ("grey", "u1", (SIDE, SIDE)), ("colour", "u1", (COLOUR, COLOUR, 3)),
        ("corners", "u1", (4, 3)),
    ]
)  # fmt: skip
"""A row an image. ``width`` and ``height``: in pixels, as it is shown; ``bits``: of a channel's values; ``seen``: it
was decoded; ``file``, ``pixels``: digests (BLAKE2b, 128 bits); ``corners``: mean RGB of the top left, top right, bottom
left and bottom right corner, each a 32nd of the shorter side."""


class Note(NamedTuple):
    """What is said of one image in words.

    Attributes:
        fault: Why it cannot be read; empty where it can.
        format: As Pillow calls it.
        mode: Likewise.
        remarks: What is unusual about it.
    """

    fault: str = ""
    format: str = ""
    mode: str = ""
    remarks: tuple[Remark, ...] = ()


def measure_files(tree: FileTree, names: Iterable[str]) -> tuple[NDArray[np.void], list[Note]]:
    """Measure files; none of them can end it.

    Returns:
        Rows of :data:`RECORD` and notes, one a file.
    """
    names = list(names)
    records, notes = np.zeros(len(names), RECORD), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, on metadata that are not read here
        for row, name in enumerate(names):
            try:
                with tree.open(name) as file:
                    data = file.read(MOST_BYTES + 1)
            except OSError as error:
                notes.append(Note(error.strerror or str(error)))
                continue
            notes.append(measure(data, name, records[row]))
    return records, notes


def measure(data: bytes, name: str, record: np.void) -> Note:
    """Measure one file.

    Args:
        data: All of it.
        name: Of the file.
        record: A row of :data:`RECORD`, zeros; it is filled.
    """
    record["bytes"] = len(data)
    record["file"] = _digest(data)
    try:
        if len(data) > MOST_BYTES:
            return Note(f"more than {MOST_BYTES:,} bytes")
        return _measure(data, name, record)
    except MemoryError:
        return Note("needs more memory than there is")
    except Exception as error:  # as in decode_image: every format's library has errors of its own
        return Note(look_at(io.BytesIO(data)).fault or _cause(error))


def _measure(data: bytes, name: str, record: np.void) -> Note:
    with open_image(io.BytesIO(data)) as image:
        kind, mode, bits = image.format or "", image.mode, _bits(image, data)
        record["bits"], (record["width"], record["height"]) = bits or 16, image.size
        remarks = of_header(image, name, bits)
        reduced = image.width * image.height > LARGE  # too large to be decoded at its full size
    if reduced and kind not in ("JPEG", "MPO"):  # which alone can be decoded small
        return Note(format=kind, mode=mode, remarks=remarks)
    rgb = decode_image(io.BytesIO(data), name, min_size=8 * SIDE if reduced else None)
    if (rgb.shape[0] > rgb.shape[1]) != (record["height"] > record["width"]):  # turned, as the camera says
        record["width"], record["height"] = record["height"], record["width"]
    _look(rgb, record)
    remarks += of_pixels(rgb, kind)
    if kind == "PNG" and (found := png_fault(data, rgb)) is not None:
        remarks += (Remark(*found),)
    return Note(format=kind, mode=mode, remarks=remarks)


def _look(rgb: NDArray[np.uint8], record: np.void) -> None:
    """Fill in what is read off the pixels, (H, W, 3)."""
    picture, side = Image.fromarray(rgb), max(1, min(rgb.shape[:2]) // SIDE)
    record["seen"], record["pixels"] = True, _digest(np.asarray(rgb.shape).tobytes(), np.ascontiguousarray(rgb))
    small = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)
    record["grey"] = np.asarray(small.convert("L"))
    record["colour"] = np.asarray(small.resize((COLOUR, COLOUR), Image.Resampling.BOX))
    ends = (slice(None, side), slice(-side, None))
    record["corners"] = [rgb[rows, columns].mean(axis=(0, 1)).round() for rows in ends for columns in ends]


def _bits(image: Image.Image, data: bytes) -> int | None:
    """Bits that the values of a channel are of; None for a range of their own."""
    if not is_deep(image) or image.width * image.height > LARGE:
        return 1 if image.mode == "1" else 8
    with open_image(io.BytesIO(data)) as again:  # it decodes the picture
        return bits_in(again, io.BytesIO(data))


def _digest(*parts: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
    hashed = hashlib.blake2b(digest_size=DIGEST)
    for part in parts:
        hashed.update(part if isinstance(part, bytes) else part.data)
    return np.frombuffer(hashed.digest(), np.uint8)


def _cause(error: Exception) -> str:
    """Why a picture cannot be read, without the name and the advice of our own error."""
    text = " ".join(str(error).split())[:160] or type(error).__name__
    if isinstance(error, UserError) and "(" in text:
        return "cannot be decoded: " + text.partition("(")[2].rpartition(")")[0]
    return text
