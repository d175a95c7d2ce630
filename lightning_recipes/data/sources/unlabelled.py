"""Pictures without labels, however somebody names them: one, many, folders, zips, shards, lists of them."""

import codecs
import csv
import os
import re
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
    root: AnyPath | Sequence[AnyPath],
    on_bad_image: Literal["error", "skip", "later"] = "error",
    *,
    channels: int = 3,
    key: str = KEY,
) -> tuple[FileSource, tuple[str, ...]]:
    """Open pictures without labels.

    Args:
        root: A picture; a folder, a zip or shards of pictures, however deep they lie; a ``.csv`` whose column ``path``
            names some, relative to it or absolute; a ``.txt`` with one path a line (or before a byte of 0), relative to
            the current folder; or a list of any of these. Pictures of a folder, a zip or shards are sorted, those of
            lists stand as they are named, each once.
        on_bad_image: Whether files that are no whole pictures end the command or are left out; ``later``: none is
            looked at before it is read.
        channels: Of an image.
        key: Of the recipe, for errors.

    Returns:
        The pictures, and the files that were left out with what is wrong with them.

    Raises:
        UserError: There are none, or one cannot be read and is not to be skipped.
    """
    roots = [root] if isinstance(root, (str, os.PathLike)) else list(root)
    try:
        return _opened(roots, on_bad_image, channels)
    except UserError as error:  # which names the key of predict, whatever deep down has found it
        raise UserError(str(error).replace(KEY, key)) from error


def _opened(
    roots: Sequence[AnyPath], on_bad_image: Literal["error", "skip", "later"], channels: int
) -> tuple[FileSource, tuple[str, ...]]:
    source = _one(roots[0]) if len(roots) == 1 else _many(roots)
    source.channels = channels
    skipped: tuple[str, ...] = ()
    if on_bad_image != "later":
        parts, skipped = drop_bad({"predict": source}, on_bad_image)
        source = parts["predict"]
    if not len(source):
        named = ", ".join(map(str, roots))
        raise UserError(f"{KEY}: '{named}' has no images; give pictures, a folder of them or a .zip of one")
    return source, skipped


def _one(root: AnyPath) -> FileSource:
    """Pictures by their paths below what was given."""
    root = os.path.expanduser(root)
    kind = os.path.splitext(root)[1].lower()
    if kind == ".txt" and os.path.isfile(root):
        return _many([root])
    if kind == ".csv" and os.path.isfile(root):
        parent = os.path.dirname(root) or "."
        tree = open_tree(parent, KEY) if os.path.isfile(os.path.join(parent, INDEX)) else Folder(parent)
        return _source(tree, dict.fromkeys(_of_csv(root)))
    if os.path.isfile(root) and kind != ".zip" and os.path.basename(root) != INDEX:
        return _source(Folder(os.path.dirname(root) or "."), [os.path.basename(root)])
    tree = open_tree(root, KEY)
    return _source(tree, _pictures(tree))


def _many(roots: Sequence[AnyPath]) -> FileSource:
    """Pictures by the paths that lead to them from here; what is no folder and no list is taken for a picture."""
    stored: dict[str, FileTree] = {}
    names: dict[str, str] = {}  # the first of all ways to spell a path
    for root in _without_lists(roots):
        tree = _tree(root)
        found = [root] if tree is None else [f"{root.rstrip('/')}/{name}" for name in _pictures(tree)]
        if tree is not None and not isinstance(tree, Folder):
            stored[root.rstrip("/")] = tree
        for name in found:
            _add_archive(name, stored)
            names.setdefault(os.path.abspath(name), name)
    return _source(Anywhere(stored), list(names.values()))


def _tree(root: str) -> FileTree | None:
    """A folder, a zip or shards; None of a picture, or what may be one."""
    if not (os.path.isdir(root) or root.lower().endswith(".zip") or (is_url(root) and not is_picture(root))):
        return None
    try:
        return open_tree(root, KEY)
    except UserError as error:
        if "\0" in root or not os.path.exists(root):  # one of many that leads nowhere: said when it is read
            return None
        raise error


def _add_archive(name: str, stored: dict[str, FileTree]) -> None:
    """Open the zip that a picture's path leads through, as paths in tables do."""
    archive, inside, _ = name.partition(".zip/")
    if inside and f"{archive}.zip" not in stored and os.path.isfile(f"{archive}.zip"):
        stored[f"{archive}.zip"] = open_tree(f"{archive}.zip", KEY)


def _without_lists(roots: Sequence[AnyPath]) -> Iterator[str]:
    for root in map(os.path.expanduser, roots):
        if root.lower().endswith(".csv"):
            parent = os.path.dirname(root)
            yield from (os.path.expanduser(os.path.join(parent, name)) for name in _of_csv(root))
        elif root.lower().endswith(".txt"):
            yield from map(os.path.expanduser, _of_text(root))
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
        try:
            return Path(name).open("rb")
        except ValueError as error:  # a path with a byte that none can have
            raise OSError(str(error)) from None

    def noted(self) -> None:
        return None

    def stamp(self, name: str) -> str:
        for path, tree in self.stored.items():
            if name.startswith(f"{path}/"):
                return tree.stamp(name[len(path) + 1 :])
        return Folder(os.path.dirname(name) or ".").stamp(os.path.basename(name))


def _source(tree: FileTree, names: Sequence[str] | dict[str, None]) -> FileSource:
    return FileSource(tree, names, np.full(len(names), -1), ())


def _pictures(tree: FileTree) -> Names:
    return Names(name for name in pictures_alone(tree.names()) if is_picture(name))


def _of_text(path: str) -> list[str]:
    try:
        # Names may be no text, and hold letters that other ways of reading lines take for ends of them.
        text = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
        return [line.removesuffix("\r") for line in re.split(r"[\n\0]", text) if line.strip()]
    except OSError as error:
        raise UserError(f"{KEY}: '{path}' cannot be read ({error.strerror}); give another list") from None


def _of_csv(path: str) -> list[str]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = list(reader.fieldnames or ())
            if "path" not in columns:
                apart = next((mark for mark in ";\t|" if any(mark in name for name in columns)), None)
                hint = did_you_mean("path", columns) if apart is None else f"; its cells are set apart by {apart!r}"
                raise UserError(
                    f"{KEY}: '{path}' has no column 'path'{hint}; call the one so that names the pictures, relative to "
                    "the file or absolute, and set columns apart by a comma"
                )
            return [row["path"].strip() for row in reader if (row["path"] or "").strip()]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{KEY}: '{path}' cannot be read ({error}); save it as CSV in UTF-8") from None
    except OSError as error:
        raise UserError(f"{KEY}: '{path}' cannot be read ({error.strerror}); give another list") from None
