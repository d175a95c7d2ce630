"""Pictures in files: in folders or in a zip that is read in place."""

import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.data.decode import IMAGE_SUFFIXES, decode_rgb
from lightning_recipes.errors import UserError

__all__ = ["FileSource", "FileTree", "Folder", "Zip", "open_tree"]

IGNORED = {"__MACOSX", "Thumbs.db", "desktop.ini"}


class FileTree(Protocol):
    """Named files below one root."""

    root: str

    def names(self) -> list[str]:
        """Return all files but hidden ones, with forward slashes, sorted, so that no file system's order shows."""
        ...

    def data(self, name: str) -> bytes:
        """Return the bytes of a file."""
        ...

    def read(self, name: str, min_size: int | None) -> NDArray[np.uint8]:
        """Return a picture as RGB."""
        ...


def _is_visible(name: str) -> bool:
    return not any(part.startswith(".") or part in IGNORED for part in name.split("/"))


class Folder:
    """Files below a folder."""

    def __init__(self, root: str) -> None:
        self.root = root

    def names(self) -> list[str]:  # noqa: D102
        found = []
        for folder, folders, files in os.walk(self.root, followlinks=True):
            folders[:] = sorted(f for f in folders if _is_visible(f))
            inside = os.path.relpath(folder, self.root).replace(os.sep, "/")
            prefix = "" if inside == "." else f"{inside}/"
            found += [prefix + name for name in files if _is_visible(name)]
            found += [f"{prefix}{name}/" for name in folders]  # an empty class has to be seen
        return sorted(found)

    def data(self, name: str) -> bytes:  # noqa: D102
        return Path(self.root, name).read_bytes()

    def read(self, name: str, min_size: int | None) -> NDArray[np.uint8]:  # noqa: D102
        path = Path(self.root, name)
        return decode_rgb(path, str(path), min_size)


class Zip:
    """Files in a zip, read in place; every process has a handle of its own, as a shared one would mix their reads."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    def _file(self) -> zipfile.ZipFile:
        if self._opened is None or self._opened[0] != os.getpid():
            try:
                self._opened = (os.getpid(), zipfile.ZipFile(self.root))
            except (zipfile.BadZipFile, OSError) as error:
                raise UserError(
                    f"data.root: '{self.root}' is not a whole zip ({error}); make or copy it again"
                ) from None
        return self._opened[1]

    def __getstate__(self) -> dict[str, str]:
        return {"root": self.root}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.__init__(state["root"])  # type: ignore[misc]

    def names(self) -> list[str]:  # noqa: D102
        return sorted(name for name in self._file().namelist() if _is_visible(name.rstrip("/")))

    def data(self, name: str) -> bytes:  # noqa: D102
        try:
            return self._file().read(name)
        except zipfile.BadZipFile as error:
            raise UserError(f"{self.root}/{name}: cannot be unpacked ({error}); make the zip again") from None

    def read(self, name: str, min_size: int | None) -> NDArray[np.uint8]:  # noqa: D102
        return decode_rgb(io.BytesIO(self.data(name)), f"{self.root}/{name}", min_size)


def open_tree(root: str, key: str = "data.root") -> FileTree:
    """Open a folder or a zip.

    Raises:
        UserError: It is neither.
    """
    if os.path.isdir(root):
        return Folder(root)
    if os.path.isfile(root) and root.lower().endswith(".zip"):
        return Zip(root)
    if os.path.exists(root):
        raise UserError(f"{key}: '{root}' is a file but no .zip or .csv; give a folder, a .zip of one, or a .csv")
    raise UserError(f"{key}: '{root}' does not exist; give a folder of images, a .zip of one, or a .csv")


def is_picture(name: str) -> bool:
    """Tell whether a file is one that ought to be a picture, by its name."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


class FileSource:
    """Labelled pictures of a tree; a source.

    Args:
        tree: Where they are.
        names: Files in the tree.
        labels: One label a file, -1 where unknown.
        classes: Names of the classes.
    """

    def __init__(
        self,
        tree: FileTree,
        names: Sequence[str] | NDArray[np.str_],
        labels: Sequence[int] | NDArray[np.int64],
        classes: Sequence[str],
    ) -> None:
        # Arrays, not lists: forked workers would copy every page of a list just by counting its references.
        self.tree, self.names = tree, np.asarray(names, dtype=np.str_)
        self.labels, self.classes = np.asarray(labels, dtype=np.int64), tuple(classes)

    @property
    def paths(self) -> NDArray[np.str_]:
        """Files, as they lie below the root."""
        return self.names

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.names)

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        """Return a picture as RGB."""
        return self.tree.read(str(self.names[index]), min_size)
