"""The index of shards: of every picture its name, its place in a tar file, its checksum, and what to note of it.

An ``.npz`` file of NumPy, without pickle, of these arrays: ``version``; ``names`` and ``ends``, all names in one text,
in UTF-8, sorted, and where each ends, from 0; ``pictures``, a row of :data:`PICTURE` a name; ``shards`` and
``shard_bytes``, the tar files and their sizes; ``classes``; ``bad`` and ``faults``, positions of the pictures that are
not whole and what is wrong with them.
"""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.atomic_io import whole_file
from lightning_recipes.data.sources.picked import Names
from lightning_recipes.errors import UserError

__all__ = ["INDEX", "PICTURE", "ShardIndex", "load_index", "save_index"]

INDEX = "shards.index.npz"
VERSION = 1
PICTURE = np.dtype(
    [
        ("shard", "<i4"), ("offset", "<i8"), ("size", "<i8"), ("crc", "<u4"), ("width", "<u4"), ("height", "<u4"),
        ("deep", "?"),
    ]
)  # fmt: skip
"""``shard``: position among the tar files; ``offset``, ``size``: of the picture's bytes in it; ``crc``: CRC-32 of them,
as zlib has it; ``width``, ``height``: in pixels; ``deep``: more than 8 bits a channel."""


@dataclass(frozen=True)
class ShardIndex:
    """What is in shards.

    Attributes:
        names: Of the pictures, as paths in a folder of class folders, sorted.
        pictures: Rows of :data:`PICTURE`, one a name.
        shards: Names of the tar files.
        shard_bytes: Size of each.
        classes: Names of the classes, sorted; a label in the tar files is a position in it.
        faults: What is wrong with pictures that are not whole, by position.
    """

    names: Names
    pictures: NDArray[np.void]
    shards: tuple[str, ...]
    shard_bytes: tuple[int, ...]
    classes: tuple[str, ...]
    faults: dict[int, str]


def save_index(path: Path, index: ShardIndex) -> None:
    """Write an index; the same index gives the same bytes.

    Raises:
        WriteError: The disk is full, or the like; what was there is as it was.
    """
    text, ends = index.names.text, index.names.ends
    arrays = {
        "version": np.array(VERSION),
        "names": np.frombuffer(text, np.uint8),
        "ends": ends,
        "pictures": index.pictures,
        "shards": _texts(index.shards),
        "shard_bytes": np.array(index.shard_bytes, np.int64),
        "classes": _texts(index.classes),
        "bad": np.array(list(index.faults), np.int64),
        "faults": _texts(index.faults.values()),
    }
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _texts(texts: Iterable[str]) -> NDArray[np.str_]:
    return np.array(list(texts), dtype=np.str_)


def load_index(file: BinaryIO, name: str) -> ShardIndex:
    """Read an index.

    Args:
        file: From its start.
        name: What it is called, for the error.

    Raises:
        UserError: It is no index, is damaged, or was written by a later version.
    """
    try:
        with np.load(file, allow_pickle=False) as stored:
            if int(stored["version"]) > VERSION:
                raise UserError(f"{name}: was written by a later version; update lightning-recipes")
            index = ShardIndex(
                Names.of(stored["names"].tobytes(), stored["ends"]),
                stored["pictures"],
                tuple(stored["shards"].tolist()),
                tuple(stored["shard_bytes"].tolist()),
                tuple(stored["classes"].tolist()),
                dict(zip(stored["bad"].tolist(), stored["faults"].tolist(), strict=True)),
            )
        if not _agrees(index):
            raise ValueError("its parts do not agree")
    except UserError:
        raise
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{name}: is not a whole index of shards ({error}); make or copy it again") from None
    return index


def _agrees(index: ShardIndex) -> bool:
    text, ends, rows = index.names.text, index.names.ends, index.pictures
    if rows.dtype != PICTURE or len(ends) != len(rows) + 1 or ends[0] != 0 or ends[-1] != len(text):
        return False
    if any("/" in name or "\\" in name for name in index.shards):  # they are no paths of this machine
        return False
    if not len(rows):
        return True
    shard, bytes_of = rows["shard"], np.array(index.shard_bytes, np.int64)
    if (np.diff(ends) <= 0).any() or shard.min() < 0 or shard.max() >= len(bytes_of) != len(index.shards):
        return False
    inside = (rows["offset"] >= 0) & (rows["size"] >= 0) & (rows["offset"] + rows["size"] <= bytes_of[shard])
    return bool(inside.all() and max(index.faults, default=0) < len(rows))
