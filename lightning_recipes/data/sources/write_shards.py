"""Shards written: pictures in plain tar files as WebDataset has them, and an index of where each lies.

A folder of shards holds ``train-000000.tar``, ``train-000001.tar``, ..., ``val-000000.tar`` (``images-000000.tar``
where there are no splits) and ``shards.index.npz``. In a tar file (POSIX.1-2001, "pax") each picture, untouched, is
followed by its label: ``train/ants/0013035.jpg`` by ``train/ants/0013035.cls``, which holds the position of its class
among the sorted classes, in decimal digits. So ``tar tf`` lists them and WebDataset reads them, one after the other;
:class:`~lightning_recipes.data.sources.shards.Shards` reads any of them, by the index. Times, owners and rights are the
same for all, so that the same pictures give the same bytes.
"""

import io
import os
import struct
import tarfile
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from lightning_recipes.atomic_io import named_failures, whole_folder
from lightning_recipes.data.sources.faults import look_at
from lightning_recipes.data.sources.folders import SPLIT_NAMES
from lightning_recipes.data.sources.picked import Names
from lightning_recipes.data.sources.shard_index import INDEX, PICTURE, ShardIndex, save_index
from lightning_recipes.data.sources.shard_names import member_of
from lightning_recipes.errors import UserError

__all__ = ["SHARD_BYTES", "IndexRows", "Stored", "fill_shards", "write_shards"]

SHARD_BYTES = 256_000_000
"""Size of a shard at most: few enough files for a bucket to list, small enough to be copied again."""
BLOCK, RECORD = tarfile.BLOCKSIZE, tarfile.RECORDSIZE
ROW = struct.Struct("<iqqIII?")


class Stored(NamedTuple):
    """A picture to be stored.

    Attributes:
        name: Its path in a folder of class folders, such as ``train/ants/0013035.jpg``.
        label: Position of its class among the sorted classes; -1 where it has none.
        data: Bytes of the file.
    """

    name: str
    label: int
    data: bytes


def write_shards(
    pictures: Iterable[Stored], out: Path, *, shard_bytes: int = SHARD_BYTES, classes: Sequence[str] = ()
) -> None:
    """Write a new folder of shards, which is there whole or not at all.

    Args:
        pictures: In the order in which they are to lie; by name, if sequential reading is to follow the folder.
        out: A folder that is not there yet.
        shard_bytes: Size of a tar file at most, > 0; one that is larger than that holds a single picture.
        classes: Names of the classes, sorted.

    Raises:
        UserError: The folder is there, or cannot be written; two pictures have one name.
    """
    if out.exists():
        raise UserError(f"out_dir: '{out}' exists already; name a new folder")
    try:
        with whole_folder(out) as folder:
            fill_shards(pictures, folder, shard_bytes=shard_bytes, classes=classes)
    except OSError as error:
        why = error.strerror or str(error)
        raise UserError(f"out_dir: '{out}' cannot be written ({why}); make room, or name another folder") from None


def fill_shards(
    pictures: Iterable[Stored], folder: Path, *, shard_bytes: int = SHARD_BYTES, classes: Sequence[str] = ()
) -> None:
    """Write shards and their index into a folder that is there and empty; arguments as of :func:`write_shards`.

    Raises:
        UserError: Two pictures have one name.
        WriteError: The disk is full, or the like.
    """
    if not shard_bytes > 0:
        raise UserError(f"shard_bytes: {shard_bytes} is not a number of bytes > 0")
    rows, keys, open_shards = IndexRows(), set[str](), dict[str, _Shard]()
    numbers = dict[str, int]()
    try:
        for name, label, data in pictures:
            split = _split_of(name)
            key, member = member_of(name, keys)
            keys.add(key)
            files = [(member, data), *([(f"{key}.cls", b"%d" % label)] if label >= 0 else ())]
            blocks = [(_header(path, len(content)), content) for path, content in files]
            shard = open_shards.get(split)
            if shard is None or (shard.size and shard.end(blocks) > shard_bytes):
                if shard is not None:
                    rows.shard_bytes[shard.number] = shard.close()
                number = numbers[split] = numbers.get(split, -1) + 1
                file = f"{split}-{number:06d}.tar"
                shard = open_shards[split] = _Shard(folder / file, rows.add_shard(file))
            rows.add(name, shard.number, shard.size + len(blocks[0][0]), data)
            shard.write(blocks)
        for shard in open_shards.values():
            rows.shard_bytes[shard.number] = shard.close()
    finally:
        for shard in open_shards.values():
            with suppress(OSError):  # of a full disk, which has been said already
                shard.file.close()
    save_index(folder / INDEX, rows.index(classes))


def _split_of(name: str) -> str:
    """Return the split that a picture lies in, by the first of its folders that is called as one."""
    folders = name.lower().split("/")[:-1]
    return next((SPLIT_NAMES[folder] for folder in folders if folder in SPLIT_NAMES), "images")


def _header(name: str, size: int) -> bytes:
    """Return what stands before a file in a tar; names that do not fit into it have a block before."""
    info = tarfile.TarInfo(name)  # time, owner and group are 0, rights 0644
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


class _Shard:
    """A tar file that is being written.

    Args:
        path: Of the file.
        number: Its position in the index.
    """

    def __init__(self, path: Path, number: int) -> None:
        self.path, self.number, self.size = path, number, 0
        with named_failures(path):
            self.file: BinaryIO = path.open("wb")

    def end(self, blocks: Sequence[tuple[bytes, bytes]]) -> int:
        """Return the size of the whole file, if these files were its last."""
        return _up(self.size + sum(len(header) + _up(len(data), BLOCK) for header, data in blocks) + 2 * BLOCK, RECORD)

    def write(self, blocks: Sequence[tuple[bytes, bytes]]) -> None:
        """Append files, each with its header."""
        with named_failures(self.path):
            for header, data in blocks:
                padding = bytes(_up(len(data), BLOCK) - len(data))
                self.size += self.file.write(header) + self.file.write(data) + self.file.write(padding)

    def close(self) -> int:
        """Write the end of a tar, wait until all is on the disk, and return the size."""
        with named_failures(self.path):
            end = self.end(())
            self.file.write(bytes(end - self.size))
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
        return end


def _up(size: int, step: int) -> int:
    return -(-size // step) * step


class IndexRows:
    """An index that is being made, a few dozen bytes a picture beside its name."""

    def __init__(self) -> None:
        self.shards: list[str] = []
        self.shard_bytes: list[int] = []
        self._names: list[str] = []
        self._rows = bytearray()
        self._faults: dict[int, str] = {}

    def add_shard(self, name: str, size: int = 0) -> int:
        """Add a tar file, and return its number."""
        self.shards.append(name)
        self.shard_bytes.append(size)
        return len(self.shards) - 1

    def add(self, name: str, shard: int, offset: int, data: bytes) -> None:
        """Add a picture: where its bytes begin, what they are, and whether it is a whole picture."""
        head = look_at(io.BytesIO(data), whole=True)  # once, and never when they are opened
        if head.fault is not None:
            self._faults[len(self._names)] = head.fault
        self._rows += ROW.pack(shard, offset, len(data), zlib.crc32(data), *head.size, head.deep)
        self._names.append(name)

    def rename(self, names: Sequence[str]) -> None:
        """Call the pictures otherwise, in the order in which they were added."""
        self._names = list(names)

    def index(self, classes: Sequence[str]) -> ShardIndex:
        """Return the index.

        Raises:
            UserError: Two pictures have one name.
        """
        names = self._names
        order = sorted(range(len(names)), key=names.__getitem__)
        twice = next((names[a] for a, b in pairwise(order) if names[a] == names[b]), None)
        if twice is not None:
            raise UserError(f"shards: two pictures are called '{twice}'; give them names of their own")
        place = {number: position for position, number in enumerate(order) if number in self._faults}
        return ShardIndex(
            Names(names[number] for number in order),
            np.frombuffer(bytes(self._rows), PICTURE)[order],
            tuple(self.shards),
            tuple(self.shard_bytes),
            tuple(classes),
            {position: self._faults[number] for number, position in place.items()},
        )
