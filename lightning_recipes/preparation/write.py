"""Images written into a folder one after the other, as files or in shards."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lightning_recipes.data.sources.write_shards import Stored, fill_shards

__all__ = ["Entry", "write_folder", "write_into_shards"]


class Entry(NamedTuple):
    """An image to be written.

    Attributes:
        path: Below the folder, with forward slashes.
        label: Position of its class.
        open: Gives what is in it.
    """

    path: str
    label: int
    open: Callable[[], BinaryIO]


def write_folder(entries: Iterable[Entry], folder: Path) -> None:
    """Write files below a folder, in their order; folders on the way are made.

    Args:
        entries: The files, each of another path.
        folder: That is there.

    Raises:
        OSError: The disk is full, or the like.
    """
    made: set[Path] = set()
    for entry in entries:
        target = folder / entry.path
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        with entry.open() as source, target.open("xb") as file:
            shutil.copyfileobj(source, file)


def write_into_shards(entries: Iterable[Entry], folder: Path, *, classes: Sequence[str], shard_bytes: int) -> None:
    """Write images into shards, in their order, under the paths that they would have in a folder.

    Args:
        entries: The images, each of another path.
        folder: That is there and empty.
        classes: Names, sorted.
        shard_bytes: Of a tar file, at most.

    Raises:
        OSError: The disk is full, or the like.
    """
    pictures = (Stored(one.path, one.label, _content(one)) for one in entries)
    fill_shards(pictures, folder, shard_bytes=shard_bytes, classes=classes)


def _content(entry: Entry) -> bytes:
    with entry.open() as file:
        return file.read()
