"""Files written into a folder, one after the other."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

__all__ = ["Entry", "write_folder"]


class Entry(NamedTuple):
    """A file to be written.

    Attributes:
        path: Below the folder, with forward slashes.
        open: Gives what is in it.
    """

    path: str
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
