"""Photographs of phones in HEIC, which Pillow reads where a plugin of its own is installed."""

from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import BinaryIO

__all__ = ["register_heif"]

BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
"""Of ISO/IEC 23008-12, at byte 8; of AVIF, which has others, Pillow has a decoder."""
PLUGINS = ("pi_heif", "pillow_heif")
"""The first only reads, and comes without an encoder under the GPL."""


def register_heif(file: BinaryIO) -> None:
    """Have Pillow read a file, if it is HEIC.

    Args:
        file: From its start, where it is again afterwards.

    Raises:
        ValueError: It is, and no plugin is installed.
    """
    head = file.read(12)
    file.seek(0)
    if head[4:8] == b"ftyp" and head[8:] in BRANDS and not _registered():
        raise ValueError("HEIC, which the package pi-heif reads")


@cache
def _registered() -> bool:
    for plugin in PLUGINS:
        with suppress(ImportError):
            import_module(plugin).register_heif_opener()
            return True
    return False
