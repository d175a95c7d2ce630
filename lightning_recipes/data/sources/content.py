"""What an image is, whatever it is called: a hash of its file."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lightning_recipes.data.sources.files import FileSource
from lightning_recipes.data.sources.joined import Joined
from lightning_recipes.data.sources.source import ImageSource, Subset

__all__ = ["content_hashes", "file_of", "pixel_hashes"]

THREADS = 8  # files of a network's drive are waited for


def content_hashes(source: ImageSource, indices: Iterable[int]) -> list[str]:
    """Return the SHA-256 of images, in hexadecimal: of a file's bytes, or of shape and pixels where there is no file.

    The same picture in another folder, zip or shard, or under another name, has the same; empty where it cannot be
    read.

    Args:
        source: The images.
        indices: Positions in it.
    """
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(lambda index: _hash(source, index), indices))


def pixel_hashes(source: ImageSource, indices: Iterable[int]) -> list[str]:
    """Return the SHA-256 of images as they are decoded, of shape and pixels; arguments and faults as above."""
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(lambda index: _hash_of_pixels(source, index), indices))


def file_of(source: ImageSource, index: int) -> tuple[FileSource, int] | None:
    """Return the files that an image is among, and its position there; None where it is no file."""
    if isinstance(source, Subset):
        return file_of(source.source, int(source.indices[index]))
    if isinstance(source, Joined):
        return file_of(*source.origin(index))
    return (source, index) if isinstance(source, FileSource) else None


def _hash(source: ImageSource, index: int) -> str:
    found = file_of(source, index)
    if found is None:
        return _hash_of_pixels(source, index)
    files, position = found
    try:
        with files.tree.open(files.paths[position]) as file:
            return hashlib.sha256(file.read()).hexdigest()
    except Exception:  # as below
        return ""


def _hash_of_pixels(source: ImageSource, index: int) -> str:
    try:
        pixels = np.ascontiguousarray(source.read(index))
    except Exception:  # a source may be anybody's: an image that fails here was judged, and what is said stays said
        return ""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
