"""An index for tar files that others wrote in the WebDataset layout, or of shards that lost theirs."""

import os
import posixpath
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lightning_recipes.data.sources.archive import MAX_BYTES
from lightning_recipes.data.sources.files import is_picture, is_visible
from lightning_recipes.data.sources.folders import SPLIT_NAMES
from lightning_recipes.data.sources.shard_index import INDEX, save_index
from lightning_recipes.data.sources.shard_names import name_of
from lightning_recipes.data.sources.write_shards import IndexRows
from lightning_recipes.errors import UserError

__all__ = ["index_shards"]

CLASSES = "classes.txt"


class Found(NamedTuple):
    """A picture in a tar file.

    Attributes:
        name: Its path there.
        split: That its tar file is called after; empty where there is none.
        label: What its ``.cls`` says, or None.
    """

    name: str
    split: str
    label: int | None


def index_shards(folder: str | os.PathLike[str]) -> Path:
    """Write the index of a folder of tar files, so that it can be ``data.root``; the tar files are not touched.

    The class of a picture is the folder that it lies in, as on a disk. Where the pictures lie in no folders, or all in
    one, it is the number in the ``.cls`` beside it, called by the line of that number, from 0, in ``classes.txt`` where
    the folder has one; the split is then the word in the name of the tar file (``train-000000.tar``). Every picture is
    read once, for its checksum and to see whether it is whole.

    Args:
        folder: With ``*.tar`` in it, not compressed.

    Returns:
        The index.

    Raises:
        UserError: There are none, one is damaged, or holds pictures with neither folders nor ``.cls``.
    """
    folder = Path(folder).expanduser()
    tars = sorted(path for path in folder.glob("*.tar") if is_visible(path.name))
    if not tars:
        raise UserError(f"{folder}: has no .tar; give a folder of tar files")
    rows, found = IndexRows(), list[Found]()
    for path in tars:
        number = rows.add_shard(path.name, path.stat().st_size)
        try:
            found += _read(path, number, rows)
        except (tarfile.TarError, OSError, ValueError) as error:
            raise UserError(f"{path}: is not a whole tar ({error}); make or copy it again") from None
    names, classes = _by_folders(found) if _has_class_folders(found) else _by_numbers(found, folder)
    rows.rename(names)
    save_index(folder / INDEX, rows.index(classes))
    return folder / INDEX


def _read(path: Path, number: int, rows: IndexRows) -> list[Found]:
    """Add the pictures of a tar file to the index."""
    names, labels = list[str](), dict[str, int]()
    for member, tar in _members(path):
        name = posixpath.normpath("/" + member.name).lstrip("/")
        if not is_visible(name):
            continue
        kind = posixpath.basename(name).partition(".")[2]
        file = tar.extractfile(member) if is_picture(name) or kind == "cls" else None
        if file is None:
            continue
        if kind == "cls":
            labels[_key_of(name)] = int(file.read(64))
            continue
        if member.size > MAX_BYTES:
            raise ValueError(f"'{name}' has {member.size:,} bytes, more than {MAX_BYTES:,}")
        rows.add(name, number, member.offset_data, file.read())
        names.append(name)
    split = _split_of(path.stem)
    return [Found(name, split, labels.get(_key_of(name))) for name in names]


def _members(path: Path) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as tar:
        while (member := tar.next()) is not None:
            if member.isreg() and not member.issparse():
                yield member, tar


def _key_of(name: str) -> str:
    folder, base = posixpath.split(name)
    return posixpath.join(folder, base.partition(".")[0])


def _split_of(stem: str) -> str:
    words = stem.replace("_", "-").replace(".", "-").lower().split("-")
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "")


def _has_class_folders(found: Sequence[Found]) -> bool:
    """Tell whether pictures lie in several folders, not counting those of splits."""
    return len({_below_split(one.name) for one in found}) > 1


def _below_split(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.split("/")[:-1] if part.lower() not in SPLIT_NAMES)


def _by_folders(found: Sequence[Found]) -> tuple[list[str], list[str]]:
    """Return the names that the pictures have as they lie, and the classes."""
    names = [name_of(one.name) for one in found]
    return names, sorted({parts[0] for one in found if (parts := _below_split(one.name))})


def _by_numbers(found: Sequence[Found], folder: Path) -> tuple[list[str], list[str]]:
    """Return names in folders of splits and classes, by the ``.cls`` of each, and the classes."""
    bare = next((one.name for one in found if one.label is None or one.label < 0), None)
    if bare is not None:
        raise UserError(f"{folder}: '{bare}' lies in no class folder and has no .cls; add one that holds its class")
    called = _called(folder, max((one.label or 0 for one in found), default=0))
    names = [posixpath.join(one.split, called[one.label or 0], one.name.rpartition("/")[2]) for one in found]
    return names, sorted({called[one.label or 0] for one in found})


def _called(folder: Path, most: int) -> Mapping[int, str]:
    """Return the names of the classes by their numbers; numbers of one length, so that they sort by themselves."""
    listed = folder / CLASSES
    if not listed.is_file():
        return {number: f"{number:0{len(str(most))}d}" for number in range(most + 1)}
    lines = listed.read_text(encoding="utf-8").splitlines()
    if most >= len(lines):
        raise UserError(f"{listed}: has {len(lines)} lines, and a .cls holds {most}; name every class, from number 0")
    return {number: line.strip().replace("/", "_") for number, line in enumerate(lines)}
