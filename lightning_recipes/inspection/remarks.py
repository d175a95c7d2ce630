"""What is unusual about an image file that can be read, and what training makes of it."""

import os
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightning_recipes.data.images.depth import is_deep
from lightning_recipes.data.images.formats import family, format_by_name
from lightning_recipes.data.sources.checks import LARGE

__all__ = ["Remark", "of_header", "of_pixels", "tiny_side"]

ORIENTATION = 0x0112  # of EXIF
ELONGATED = 5.0
FLAT = 2  # levels of 255 that a picture of one colour may have between its darkest and its brightest pixel
UNFINISHED = 128  # the grey that libjpeg leaves where data are missing
PAGED = ("GIF", "PNG", "WEBP", "TIFF", "AVIF")
COLOUR_SPACES = {
    "CMYK": "four inks (CMYK), converted without a colour profile", "LAB": "in CIELAB, converted to RGB",
    "YCbCr": "in YCbCr, converted to RGB", "HSV": "in HSV, converted to RGB",
}  # fmt: skip


class Remark(NamedTuple):
    """Something unusual.

    Attributes:
        kind: In a word or two, the same for all such files.
        what: Of this file.
    """

    kind: str
    what: str


def of_header(image: Image.Image, name: str, bits: int | None) -> tuple[Remark, ...]:
    """Return what the header shows.

    Args:
        image: As Pillow opened it, not decoded.
        name: Of the file.
        bits: That its values are of; None for a range of their own.
    """
    found = (look(image, name) for look in (_extension, _frames, _colours, _transparency, _rotation, _shape))
    return tuple(Remark(*one) for one in (*found, _depth(image, bits)) if one is not None)


def of_pixels(rgb: NDArray[np.uint8], kind: str) -> tuple[Remark, ...]:
    """Return what the pixels show.

    Args:
        rgb: (H, W, 3).
        kind: Format, as Pillow calls it.
    """
    corner = rgb[:8, :8].reshape(-1, 3)
    if np.ptp(corner, axis=0).max() <= FLAT and np.ptp(rgb, axis=(0, 1)).max() <= FLAT:
        return (Remark("one colour", f"all of it is {tuple(rgb[0, 0].tolist())}"),)
    if kind in ("JPEG", "MPO") and (missing := _grey_rows(rgb)) >= max(8, len(rgb) // 16):
        share = 100 * missing / len(rgb)
        return (Remark("unfinished", f"the lower {share:.0f} % are plain grey, as where data are missing"),)
    return ()


def tiny_side(sides: NDArray[np.integer], smallest: int) -> int:
    """Return the shorter side below which a picture is tiny among others: an eighth of their median, or ``smallest``.

    Args:
        sides: Shorter sides in pixels, at least one.
        smallest: Below which no picture shows anything.
    """
    return max(smallest, int(np.median(sides)) // 8)


def _extension(image: Image.Image, name: str) -> tuple[str, str] | None:
    meant = format_by_name(name)
    if meant is None or meant == family(image.format or ""):
        return None
    return "wrong extension", f"is called {os.path.splitext(name)[1].lower()}, and is {image.format}"


def _frames(image: Image.Image, name: str) -> tuple[str, str] | None:
    if image.format not in PAGED:
        return None
    try:
        frames = int(getattr(image, "n_frames", 1))
        image.seek(0)
    except Exception:  # such as an animation that is cut short: its first frame may be whole
        return "animated", "several frames, not all of them whole; the first is used"
    if frames < 2:
        return None
    what = "pages" if image.format == "TIFF" else "frames"
    return "animated" if what == "frames" else "several pages", f"{frames} {what}; the first is used"


def _colours(image: Image.Image, name: str) -> tuple[str, str] | None:
    said = COLOUR_SPACES.get(image.mode)
    return None if said is None else (image.mode, said)


def _transparency(image: Image.Image, name: str) -> tuple[str, str] | None:
    if "transparency" in image.info and image.mode == "P":
        return "palette with transparency", "what shows through is laid on white"
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return "transparency", "what shows through is laid on white"
    return None


def _rotation(image: Image.Image, name: str) -> tuple[str, str] | None:
    try:
        turned = image.getexif().get(ORIENTATION, 1)
    except Exception:  # of metadata that are damaged
        return None
    return None if turned in (0, 1, None) else ("rotated by EXIF", f"orientation {turned}, applied when it is read")


def _shape(image: Image.Image, name: str) -> tuple[str, str] | None:
    width, height = image.size
    if width * height > LARGE:
        return "huge", f"{width} x {height} pixels, decoded anew in every epoch"
    longer, shorter = max(width, height), min(width, height)
    return None if longer < ELONGATED * shorter else ("elongated", f"{width} x {height} pixels")


def _depth(image: Image.Image, bits: int | None) -> tuple[str, str] | None:
    if not is_deep(image):
        return None
    values = "of a range of their own" if bits is None else f"of {bits} bits"
    return f"deep, {bits or 'odd'} bits", f"more than 8 bits a channel, values {values}, scaled to 8"


def _grey_rows(rgb: NDArray[np.uint8]) -> int:
    """How many rows at the bottom are plain middle grey."""
    first = rgb[-1].astype(np.int16)
    if np.abs(first - UNFINISHED).max() > FLAT:
        return 0
    grey = np.asarray((np.abs(rgb[::-1].astype(np.int16) - UNFINISHED) <= FLAT).all(axis=(1, 2)))
    return len(grey) if grey.all() else int(np.argmin(grey))
