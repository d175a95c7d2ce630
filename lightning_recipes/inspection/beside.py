"""Extra pictures beside the data, which ``data.extra`` would train on: a part of the data under the name ``extra``."""

import os
from collections.abc import Mapping
from typing import BinaryIO

from lightning_recipes.data.sources.extra import read_extra
from lightning_recipes.data.sources.faults import Head
from lightning_recipes.data.sources.files import FileSource, FileTree

__all__ = ["EXTRA", "with_extra_part"]

EXTRA = "extra"


class TreeBeside:
    """The files of one tree under their names, and those of another under its root and their names.

    Args:
        tree: Of the data.
        beside: The other.
    """

    def __init__(self, tree: FileTree, beside: FileTree) -> None:
        self.root, self._tree, self._beside = tree.root, tree, beside
        self._prefix = os.path.join(beside.root, "")

    def name_of(self, name: str) -> str:
        """Return what a file of the other tree is called here."""
        return self._prefix + name

    def names(self) -> list[str]:
        return [*self._tree.names(), *map(self.name_of, self._beside.names())]

    def open(self, name: str) -> BinaryIO:
        tree, own = self._found(name)
        return tree.open(own)

    def noted(self) -> dict[str, Head] | None:
        return None

    def stamp(self, name: str) -> str:
        tree, own = self._found(name)
        return tree.stamp(own)

    def _found(self, name: str) -> tuple[FileTree, str]:
        inside = name.startswith(self._prefix)
        return (self._beside, name.removeprefix(self._prefix)) if inside else (self._tree, name)


def with_extra_part(parts: Mapping[str, FileSource], root: str | None, key: str) -> dict[str, FileSource]:
    """Return the parts of the data and, after them, the extra pictures, all of one tree.

    Args:
        parts: By split, of one tree, ``train`` first.
        root: As for ``data.extra``; None: the parts stay as they are.
        key: What the command calls it, for the errors.

    Raises:
        UserError: As for ``data.extra``, but for files that are no whole pictures: none is opened.
    """
    if root is None:
        return dict(parts)
    train = parts["train"]
    extra = read_extra(root, train.classes, key=key)
    tree = TreeBeside(train.tree, extra.tree)
    own = {split: FileSource(tree, part.paths, part.labels, part.classes) for split, part in parts.items()}
    return {**own, EXTRA: FileSource(tree, map(tree.name_of, extra.paths), extra.labels, extra.classes)}
