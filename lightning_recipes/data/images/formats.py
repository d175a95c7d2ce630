"""How Pillow calls the formats of pictures, and which suffix a file of each has."""

import os
from functools import cache

from PIL import Image

from lightning_recipes.data.images.decode import IMAGE_SUFFIXES

__all__ = ["family", "format_by_name", "suffix_of"]

USUAL = {"JPEG": ".jpg", "TIFF": ".tif", "JP2": ".jp2"}
"""Of formats with several suffixes."""


def family(kind: str) -> str:
    """Return one name for formats of which one is a variant of the other: a camera's MPO is read as a JPEG.

    Example:
        >>> family("MPO"), family("PNG")
        ('JPEG', 'PNG')
    """
    return {"MPO": "JPEG", "DIB": "BMP", "APNG": "PNG", "JPEG2000": "JP2"}.get(kind, kind)


def format_by_name(name: str) -> str | None:
    """Return the format that a file is of by its suffix; None where the suffix is none of a picture.

    Example:
        >>> format_by_name("ants/0.JPG"), format_by_name("notes.txt")
        ('JPEG', None)
    """
    kind = _formats().get(os.path.splitext(name)[1].lower())
    return None if kind is None else family(kind)


def suffix_of(kind: str) -> str | None:
    """Return the suffix of a file of a format; None where a file with it would not be taken for a picture.

    Example:
        >>> suffix_of("MPO"), suffix_of("WEBP"), suffix_of("ICO")
        ('.jpg', '.webp', None)
    """
    known = sorted(suffix for suffix, of in _formats().items() if family(of) == family(kind))
    usual = USUAL.get(family(kind), f".{kind.lower()}")
    return next((suffix for suffix in (usual, *known) if suffix in known and suffix in IMAGE_SUFFIXES), None)


@cache
def _formats() -> dict[str, str]:
    Image.init()
    return {**Image.registered_extensions(), ".jfif": "JPEG"}
