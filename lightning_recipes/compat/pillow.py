"""Pillow's decoders, given the memory to write to."""

import contextlib

from PIL import Image

__all__ = ["decode_into"]


def decode_into(image: Image.Image, ground: Image.Image) -> None:
    """Decode as much of a picture as there is onto another; where there is nothing, the other stays what it was.

    ``load`` writes into ``im`` where it has the right mode and size, and otherwise into zeros of its own. Formats whose
    decoder takes no such memory (GIF, WebP) leave the ground as it is.

    Args:
        image: Opened and not decoded.
        ground: Of the same mode and size; it is written to.
    """
    image.im = ground.im
    with contextlib.suppress(Exception):  # that it is cut short, in the words of each format
        image.load()
