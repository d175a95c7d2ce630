"""Pictures in files of a folder, of a zip or of shards; a source."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.data.images.decode import IMAGE_SUFFIXES, decode_image
from lightning_recipes.data.sources.faults import Head
from lightning_recipes.data.sources.labels import Labels, several
from lightning_recipes.data.sources.picked import Names
from lightning_recipes.errors import UserError

__all__ = ["ARRAY", "FileSource", "FileTree", "Folder", "is_picture", "is_visible", "pictures_alone"]

ARRAY = ".npy"
IGNORED = {"__MACOSX", "Thumbs.db", "desktop.ini"}


class FileTree(Protocol):
    """Named files below one root; picklable, and safe to read from forked workers and from threads."""

    root: str

    def names(self) -> Sequence[str]:
        """Return all files but hidden ones, with forward slashes, sorted, so that no file system's order shows.

        Folders are among them, with a slash at the end: an empty class has to be seen.
        """
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file.

        Raises:
            OSError: It cannot be read.
        """
        ...

    def noted(self) -> Mapping[str, Head] | None:
        """Return what was noted of the pictures when they were stored, so that no file has to be opened to know it.

        Of pictures that are whole, of 8 bits and not large there is nothing to note. None: each has to be looked at.
        """
        ...

    def stamp(self, name: str) -> str:
        """Return what changes when the file does: its size, and its time or checksum; empty where it cannot be read."""
        ...


def is_visible(name: str) -> bool:
    """Tell whether a file is the user's own, by its path: not hidden, and not of an operating system."""
    return not any(part.startswith(".") or part in IGNORED for part in name.split("/"))


def is_picture(name: str) -> bool:
    """Tell whether a file is one that ought to be a picture, by its name."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def pictures_alone(names: Sequence[str]) -> Sequence[str]:
    """Leave out arrays that lie among pictures: they are something else, such as their features.

    Args:
        names: Of all files of a tree.
    """
    if not any(name.endswith(ARRAY) for name in names):
        return names  # as they are kept: there may be millions
    others = [name for name in names if not name.endswith(ARRAY)]
    return others if any(map(is_picture, others)) else names


class Folder:
    """Files below a folder; links are followed.

    Args:
        root: The folder.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    def names(self) -> list[str]:  # noqa: D102
        return sorted(_below(self.root, "", frozenset()))

    def open(self, name: str) -> BinaryIO:  # noqa: D102
        return Path(self.root, name).open("rb")

    def noted(self) -> None:  # noqa: D102
        return None

    def stamp(self, name: str) -> str:  # noqa: D102
        try:
            status = os.stat(os.path.join(self.root, name))
        except OSError:
            return ""
        return f"{status.st_size}-{status.st_mtime_ns}"


def _below(folder: str, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    """Yield what is below a folder; a link to a folder that it lies in is not followed, for it has no end."""
    try:
        status = os.stat(folder)
        own = (status.st_dev, status.st_ino)
        with os.scandir(folder) as found:
            entries = [] if own in above else [entry for entry in found if is_visible(entry.name)]
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror}); allow it, or move the folder away") from None
    for entry in entries:
        if _is_folder(entry):
            yield f"{prefix}{entry.name}/"
            yield from _below(entry.path, f"{prefix}{entry.name}/", above | {own})
        else:
            yield prefix + entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself; if it is called as a picture is, it is among those that cannot be read
        return False


class FileSource:
    """Labelled pictures of a tree; a source.

    Args:
        tree: Where they are.
        names: Files in the tree.
        labels: One label a file, -1 where unknown; or (N, C) of 0 and 1, uint8.
        classes: Names of the classes.
        groups: What each file belongs to, where a CSV file says so.
        channels: Of an image.
    """

    def __init__(
        self,
        tree: FileTree,
        names: Iterable[str],
        labels: Labels,
        classes: Sequence[str],
        groups: Sequence[str] | None = None,
        channels: int = 3,
    ) -> None:
        self.tree, self.paths = tree, names if isinstance(names, Names) else Names(names)
        self.labels: NDArray[np.int64] | NDArray[np.uint8]
        self.labels = np.asarray(labels, np.uint8) if several(labels) else np.asarray(labels, np.int64)
        self.classes, self.channels = tuple(classes), channels
        self.groups = None if groups is None else Names(groups)

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.paths)

    def keep(self, indices: Sequence[int]) -> "FileSource":
        """Return a source of some of the pictures."""
        groups = None if self.groups is None else [self.groups[i] for i in indices]
        names, labels = [self.paths[i] for i in indices], self.labels[indices]
        return FileSource(self.tree, names, labels, self.classes, groups, self.channels)

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        """Return a picture, (H, W, channels): as RGB, unless it is of others.

        Raises:
            UserError: It cannot be read or decoded; the text names the file.
        """
        name = os.path.join(self.tree.root, self.paths[index])
        try:
            file = self.tree.open(self.paths[index])
        except OSError as error:
            raise UserError(f"{name}: cannot be read ({error.strerror or error}); replace the file") from None
        with file:
            return decode_image(file, name, min_size, channels=self.channels)
