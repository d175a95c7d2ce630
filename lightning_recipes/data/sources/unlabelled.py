"""Pictures without labels, however somebody names them: one, many, folders, zips, shards, lists of them."""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from lightning_recipes.data.sources.byte_ranges import is_url
from lightning_recipes.data.sources.checks import drop_bad
from lightning_recipes.data.sources.files import FileSource, FileTree, Folder, is_picture, pictures_alone
from lightning_recipes.data.sources.open import open_tree
from lightning_recipes.data.sources.picked import Names
from lightning_recipes.data.sources.shard_index import INDEX
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["open_unlabelled"]

KEY = "data.predict_root"
AnyPath = str | os.PathLike[str]


def open_unlabelled(
    root: AnyPath | Sequence[AnyPath], on_bad_image: Literal["error", "skip", "later"] = "error", *, channels: int = 3
) -> tuple[FileSource, tuple[str, ...]]:
    """Open pictures without labels.

    Args:
        root: A picture; a folder, a zip or shards of pictures, however deep they lie; a ``.csv`` whose column ``path``
            names some, relative to it or absolute; a ``.txt`` with one path a line, relative to the current folder; or
            a list of any of these. Pictures of a folder, a zip or shards are sorted, those of lists stand as they are
            named, each once.
        on_bad_image: Whether files that are no whole pictures end the command or are left out; ``later``: none is
            looked at before it is read.
        channels: Of an image.

    Returns:
        The pictures, and the files that were left out with what is wrong with them.

    Raises:
        UserError: There are none, or one cannot be read and is not to be skipped.
    """
    source = _one(root) if isinstance(root, (str, os.PathLike)) else _many(root)
    source.channels = channels
    skipped: tuple[str, ...] = ()
    if on_bad_image != "later":
        parts, skipped = drop_bad({"predict": source}, on_bad_image)
        source = parts["predict"]
    if not len(source):
        raise UserError(f"{KEY}: '{root}' has no images; give a folder of images or a .zip of one")
    return source, skipped


def _one(root: AnyPath) -> FileSource:
    """Pictures by their paths below what was given."""
    root = os.path.expanduser(root)
    kind = os.path.splitext(root)[1].lower()
    if os.path.isfile(root) and is_picture(root):
        return _source(Folder(os.path.dirname(root) or "."), [os.path.basename(root)])
    if os.path.isfile(root) and kind == ".csv":
        parent = os.path.dirname(root) or "."
        tree = open_tree(parent, KEY) if os.path.isfile(os.path.join(parent, INDEX)) else Folder(parent)
        return _source(tree, dict.fromkeys(_of_csv(root)))
    if os.path.isfile(root) and kind == ".txt":
        return _many(_of_text(root))
    tree = open_tree(root, KEY)
    return _source(tree, _pictures(tree))


def _many(roots: Sequence[AnyPath]) -> FileSource:
    """Pictures by the paths that lead to them from here; what is no folder and no list is taken for a picture."""
    stored: dict[str, FileTree] = {}
    names: dict[str, None] = {}
    for root in _without_lists(roots):
        if os.path.isdir(root) or is_url(root) or root.lower().endswith(".zip"):
            tree = open_tree(root, KEY)
            if not isinstance(tree, Folder):
                stored[root.rstrip("/")] = tree
            names |= dict.fromkeys(f"{root.rstrip('/')}/{name}" for name in _pictures(tree))
        else:
            names[root] = None
    return _source(Anywhere(stored), names)


def _without_lists(roots: Sequence[AnyPath]) -> Iterator[str]:
    for root in map(os.path.expanduser, roots):
        if root.lower().endswith(".csv"):
            yield from (os.path.join(os.path.dirname(root), name) for name in _of_csv(root))
        elif root.lower().endswith(".txt"):
            yield from _of_text(root)
        else:
            yield root


class Anywhere:
    """Files by their paths from the current folder, beside some that are stored in zips and shards.

    Args:
        stored: Zips and shards, by the paths that lead to them.
    """

    root = ""

    def __init__(self, stored: dict[str, FileTree]) -> None:
        self.stored = stored

    def names(self) -> Sequence[str]:
        raise NotImplementedError("nobody asks for all files that there are")

    def open(self, name: str) -> BinaryIO:
        for path, tree in self.stored.items():
            if name.startswith(f"{path}/"):
                return tree.open(name[len(path) + 1 :])
        return Path(name).open("rb")

    def noted(self) -> None:
        return None

    def stamp(self, name: str) -> str:
        raise NotImplementedError("nobody asks for that of pictures without labels")


def _source(tree: FileTree, names: Sequence[str] | dict[str, None]) -> FileSource:
    return FileSource(tree, names, np.full(len(names), -1), ())


def _pictures(tree: FileTree) -> Names:
    return Names(name for name in pictures_alone(tree.names()) if is_picture(name))


def _of_text(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:  # names may be no text
            return [line for line in file.read().splitlines() if line.strip()]
    except OSError as error:
        raise UserError(f"{KEY}: '{path}' cannot be read ({error.strerror}); give another list") from None


def _of_csv(path: str) -> list[str]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = list(reader.fieldnames or ())
            if "path" not in columns:
                raise UserError(
                    f"{KEY}: '{path}' has no column 'path'{did_you_mean('path', columns)}; call the one so that names "
                    "the pictures, relative to the file or absolute"
                )
            return [row["path"].strip() for row in reader if (row["path"] or "").strip()]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{KEY}: '{path}' cannot be read ({error}); save it as CSV in UTF-8") from None
    except OSError as error:
        raise UserError(f"{KEY}: '{path}' cannot be read ({error.strerror}); give another list") from None
