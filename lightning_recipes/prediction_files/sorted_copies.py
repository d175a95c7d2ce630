"""Copies of pictures in a folder for each class that they are taken for."""

import posixpath
import re
import shutil
from collections.abc import Container, Iterable
from pathlib import Path

from lightning_recipes.atomic_io import named_failures, whole_folder
from lightning_recipes.data.sources.files import FileSource

__all__ = ["copy_sorted"]

NO_LABEL = "none"
"""Folder of pictures that have no label."""
TAKEN = re.compile(r'[\\/:*?"<>|\x00-\x1f]')
"""Letters that a folder cannot have on one system or another."""
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for itself."""
LONGEST = 100


def copy_sorted(folder: Path, source: FileSource, labels: Iterable[tuple[int, str]]) -> None:
    """Copy each picture, as it is stored, below the folder of its class; the folder is there whole or not at all.

    A picture keeps its path below where it was looked for; one of several labels is in the folder of that set of them.
    Folders are called as classes are, as far as a folder can be; no two classes share one.

    Args:
        folder: New, or empty.
        source: The pictures.
        labels: Positions in it, and what is said of each.
    """
    folders = {"": NO_LABEL}
    with named_failures(folder), whole_folder(folder) as whole:
        for index, label in labels:
            if label not in folders:
                folders[label] = _folder_for(label, {name.lower() for name in folders.values()})
            target = whole / folders[label] / _below(source.paths[index])
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.tree.open(source.paths[index]) as file, _free(target).open("wb") as copy:
                shutil.copyfileobj(file, copy)


def _folder_for(label: str, taken: Container[str]) -> str:
    """Return a name for the folder of a class, of those that are not taken, in small letters.

    Example:
        >>> _folder_for("a/b", set()), _folder_for("a_b", {"a_b"}), _folder_for("..", {"none"})
        ('a_b', 'a_b-2', '_')
    """
    plain = TAKEN.sub("_", label).strip(". ")[:LONGEST] or "_"
    if RESERVED.fullmatch(plain):
        plain += "_"
    name, number = plain, 1
    while name.lower() in taken:
        number += 1
        name = f"{plain}-{number}"
    return name


def _below(name: str) -> str:
    """Return a path that leads below any folder.

    Example:
        >>> _below("/home/me/a.png"), _below("../b.png"), _below("new/c.png")
        ('home/me/a.png', 'b.png', 'new/c.png')
    """
    return posixpath.normpath("/" + name.replace("\\", "/")).lstrip("/")


def _free(target: Path) -> Path:
    """Return the path, or one with a number where it is taken: ``../b.png`` and ``b.png`` are two pictures."""
    number = 1
    free = target
    while free.exists():
        number += 1
        free = target.with_stem(f"{target.stem}-{number}")
    return free
